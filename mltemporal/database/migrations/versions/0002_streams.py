"""A stream of output for each rank of an attempt, each with its position and the platform's cursor."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The names that PostgreSQL gave to the constraints that 0001 left without one; SQLite gave none.
_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "streams",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "attempt", "rank"),
    )
    op.execute(
        "INSERT INTO streams (job_id, attempt, rank, position, cursor) "
        "SELECT job_id, number, 0, position, '' FROM attempts WHERE position > 0"
    )
    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_column("position")
    with op.batch_alter_table("log_chunks", naming_convention=_NAMES) as chunks:
        chunks.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
        chunks.drop_constraint("log_chunks_job_id_attempt_position_key", type_="unique")
        chunks.create_unique_constraint(
            "log_chunks_job_id_attempt_rank_position_key", ["job_id", "attempt", "rank", "position"]
        )
        chunks.drop_index("log_of_a_job")
        chunks.create_index("log_of_a_job", ["job_id", "rank", "id"])
