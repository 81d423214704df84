"""``mltemporal db upgrade | status``."""

from __future__ import annotations

from mltemporal.database.engine import Database
from mltemporal.settings import process_settings


def upgrade() -> int:
    """Bring the database to the newest schema."""
    Database.prepare(process_settings().database_url)
    return status()


def status() -> int:
    """Show where the database is and its schema.

    Raises:
        ServiceUnavailable: it was never prepared, or does not answer.
        VersionMismatch: this code needs another schema.
    """
    database = Database.open(process_settings().database_url)
    try:
        print(f"schema {database.revision()} in {database.url}")
    finally:
        database.close()
    return 0
