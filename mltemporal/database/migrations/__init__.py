"""Schema migrations with Alembic, run from code: there is no ``alembic.ini`` to find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    with _tables_may_be_replaced(database), database.writing() as connection:
        # SQLite's write lock keeps a second upgrade waiting; PostgreSQL needs one of ours.
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
        if connection.dialect.name == "sqlite":
            lost = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            assert not lost, f"rows that refer to nothing after the migration: {lost[:3]}"


@contextmanager
def _tables_may_be_replaced(database: Database) -> Iterator[None]:
    """SQLite alters a table by copying it, and lets go of no old one to which others refer.

    Its checks can be turned off only outside of a transaction, so for whole connections.
    """
    engine = database.engine
    if engine.dialect.name != "sqlite":
        yield
        return

    def unchecked(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=OFF")

    engine.dispose()
    sa.event.listen(engine, "connect", unchecked)
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", unchecked)
        engine.dispose()


def _revision(connection: sa.Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision
