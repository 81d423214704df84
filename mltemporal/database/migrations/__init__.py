"""Schema migrations with Alembic, run from code: there is no ``alembic.ini`` to find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltemporal.errors import VersionMismatch

if TYPE_CHECKING:
    from alembic.config import Config

    from mltemporal.database.engine import Database

_LOCK = int.from_bytes(b"mltempor", "big")  # any number, as long as it is ours


def config() -> Config:
    """Return Alembic's configuration for our migrations."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    return made


def upgrade(database: Database) -> None:
    """Bring the database to the newest schema, in one transaction.

    Raises:
        VersionMismatch: its schema is newer than this code.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    settings = config()
    with database.writing() as connection:  # SQLite's write lock keeps a second upgrade waiting
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))  # a long log takes its time
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
        current = _revision(connection)
        if current is not None and current not in {
            r.revision for r in ScriptDirectory.from_config(settings).walk_revisions()
        }:
            raise VersionMismatch(
                f"the database's schema {current} is newer than this mltemporal knows",
                "upgrade this environment: pip install -U mltemporal",
            )
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def _revision(connection: sa.Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision
