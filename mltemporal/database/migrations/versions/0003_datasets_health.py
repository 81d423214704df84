"""What is kept with a dataset, names that several may bear, and the rounds of the monitor."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The names that PostgreSQL gave to the constraints that 0001 left without one; SQLite gave none.
_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("datasets", naming_convention=_NAMES) as datasets:
        datasets.add_column(sa.Column("facts_json", sa.Text(), nullable=False, server_default="{}"))
        datasets.drop_constraint("datasets_name_key", type_="unique")
        datasets.create_index("ix_datasets_name", ["name"])
    op.create_table(
        "health",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round", sa.String(length=128), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("next_step", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("round", "part"),
    )
    op.create_index("health_by_time", "health", ["time"])
