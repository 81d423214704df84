"""From a URL to an engine, for each of the two databases."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from mltemporal.errors import InvalidRequest

MOST_CONNECTIONS = 32
"""As many as a worker has threads: nobody waits for a connection, except behind a stuck server."""

_CONNECT = {
    "connect_timeout": 10,
    "application_name": "mltemporal",
    # A peer that is gone without a word (a host that was turned off) is noticed within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # A pooler between us and the server gives each transaction another server connection.
    "prepare_threshold": None,
}
_LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "20s",
    # A process that is stopped in the middle of a write must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "30s",
}


def make_engine(url: str, *, connections: int) -> sa.Engine:
    """Return an engine for ``url``; nothing is connected yet.

    Args:
        connections: how many connections to PostgreSQL are kept open for use; in a rush there are more.

    Raises:
        InvalidRequest: ``url`` is no URL of SQLite or PostgreSQL, or the driver is not installed.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgres(parsed, connections)


def shown(url: sa.URL) -> str:
    """Return the URL without the password, wherever in it that stands."""
    secret = [name for name in url.query if "password" in name]
    return url.difference_update_query(secret).render_as_string(hide_password=True)


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # neither quotes the URL in its traceback: it may hold a password
        raise InvalidRequest("the database URL is none that SQLAlchemy knows", _EXAMPLES) from None
    if "@" in (parsed.host or ""):
        raise InvalidRequest(
            "the database URL has an '@' in the user's name or password",
            "write it as '%40', and '/' as '%2F'",
        )
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg2"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise InvalidRequest(
            f"the database URL begins with {parsed.drivername!r}; the record is kept in SQLite or PostgreSQL",
            _EXAMPLES,
        )
    return parsed


_EXAMPLES = "use e.g. 'sqlite:////home/me/jobs.db' or 'postgresql://user@host/name'"


def _postgres(url: sa.URL, connections: int) -> sa.Engine:
    options = {name: value for name, value in _CONNECT.items() if name not in url.query}
    try:
        engine = sa.create_engine(
            url,
            connect_args=options,
            hide_parameters=True,
            isolation_level="READ COMMITTED",  # what our conditions rely on, whatever the server's default
            pool_size=connections,
            max_overflow=MOST_CONNECTIONS - connections,
            pool_pre_ping=True,  # a connection that was lost while it lay in the pool is replaced
            pool_use_lifo=True,
            pool_recycle=1800,
        )
    except ImportError as error:
        raise InvalidRequest(
            f"the driver for PostgreSQL is not installed: {error}",
            "install it with pip install 'mltemporal[postgres]'",
        ) from error
    if "options" not in url.query:
        sa.event.listen(engine, "connect", _limit_postgres)
    return engine


def _limit_postgres(connection: Any, _record: object) -> None:
    """Set the limits by a statement: poolers refuse them among the connection's parameters."""
    connection.autocommit = True
    for name, value in _LIMITS.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    connection.autocommit = False


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True)
    if url.database:
        _make_folder(Path(url.database).parent)
        if url.database != ":memory:":
            _make_private(url.database)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediately)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(
            f"the database's folder {str(folder)!r} cannot be made: {error.strerror}",
            "set MLTEMPORAL_DATABASE_URL, or MLTEMPORAL_HOME, to a place that you can write to",
        ) from error


def _make_private(path: str) -> None:
    """Make a new database the user's own; its -wal and -shm get the same mode from SQLite.

    One that is there is not opened: closing it would let go of the locks that SQLite holds on it for this
    process, and the next one to close the database would take itself for the last.
    """
    with suppress(OSError):  # it is there; what is wrong with the place is said when it is opened
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions late and deferred
    # First the patience: several processes may turn a new file to WAL at once.
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: sa.Connection) -> None:
    """Take the write lock at the start: a reader that becomes a writer later would fail at once."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
