"""``mltemporal db upgrade | current``."""

from __future__ import annotations

from mltemporal.database import Database
from mltemporal.errors import ServiceUnavailable
from mltemporal.settings import load_settings


def upgrade() -> int:
    """Bring the database to the newest schema."""
    Database.prepare(load_settings().database_url)
    return current()


def current() -> int:
    """Show the schema of the database.

    Raises:
        ServiceUnavailable: it was never prepared, or does not answer.
        VersionMismatch: this code needs another schema.
    """
    database = Database.open(load_settings().database_url)
    try:
        revision = database.revision()
        if revision is None:
            raise ServiceUnavailable("the database has no tables of ours yet", "run `mltemporal db upgrade`")
        print(f"schema {revision}")
    finally:
        database.close()
    return 0
