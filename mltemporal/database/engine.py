"""How the database is opened, and the one place where its errors are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mltemporal.database import tables
from mltemporal.errors import InvalidRequest, ServiceUnavailable, VersionMismatch

if TYPE_CHECKING:
    from mltemporal.database.datasets import Datasets
    from mltemporal.database.jobs import Jobs
    from mltemporal.database.progress import ProgressRecord
    from mltemporal.database.workers import Workers

HEAD = "0002"
"""The newest migration; a test compares it with what Alembic finds."""


class Database:
    """One open database; safe from several threads.

    Every method of its parts may raise `ServiceUnavailable` when the database does not answer.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    @classmethod
    def open(cls, url: str) -> Database:
        """Open the database at ``url`` (an SQLAlchemy URL) at the schema that this code needs.

        Raises:
            InvalidRequest: ``url`` is no database URL, or its driver is not installed.
            ServiceUnavailable: it does not answer, or was never prepared.
            VersionMismatch: its schema is older or newer than this code.
        """
        database = cls(_engine(url))
        found = database.revision()
        if found is None:
            database.close()
            raise ServiceUnavailable(
                f"the database {database.url!r} has no tables of ours yet",
                "run `mltemporal up`, or `mltemporal db upgrade`",
            )
        if found != HEAD:
            database.close()
            raise _schema_mismatch(found)
        return database

    @classmethod
    def prepare(cls, url: str) -> None:
        """Bring the database to the newest schema. Idempotent; safe to run from several processes.

        Raises:
            VersionMismatch: its schema is newer than this code.
            InvalidRequest, ServiceUnavailable: as for `open`.
        """
        database = cls(_engine(url))
        try:
            if database.revision() != HEAD:
                from mltemporal.database.migrations import upgrade

                upgrade(database)
        finally:
            database.close()

    def revision(self) -> str | None:
        """Return the migration that the database is at, None where it has no tables of ours."""
        with self.reading() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            value: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            return value

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    @cached_property
    def id(self) -> str:
        """Eight hexadecimal digits that tell this database from every other."""
        with self.reading() as connection:
            value: str = connection.execute(
                sa.select(tables.meta.c.value).where(tables.meta.c.name == "database_id")
            ).scalar_one()
            return value

    @cached_property
    def jobs(self) -> Jobs:
        """Jobs, attempts and events."""
        from mltemporal.database.jobs import Jobs

        return Jobs(self)

    @cached_property
    def progress(self) -> ProgressRecord:
        """Points, logs and artifacts."""
        from mltemporal.database.progress import ProgressRecord

        return ProgressRecord(self)

    @cached_property
    def datasets(self) -> Datasets:
        """Registered tables."""
        from mltemporal.database.datasets import Datasets

        return Datasets(self)

    @cached_property
    def workers(self) -> Workers:
        """Workers that were seen lately."""
        from mltemporal.database.workers import Workers

        return Workers(self)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection whose statements each see the newest committed state."""
        with _translated(self), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with _translated(self), self.engine.begin() as connection:
            yield connection


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidRequest(
            "the database URL is none that SQLAlchemy knows",
            "use e.g. 'sqlite:////home/me/jobs.db' or 'postgresql+psycopg://user@host/name'",
        ) from error
    except ImportError as error:
        raise InvalidRequest(
            f"the database driver of {parsed.drivername!r} is not installed: {error}", "install it with pip"
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            _make_folder(Path(parsed.database).parent)
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


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions late and deferred
    # First the patience: several processes may turn a new file to WAL at once.
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: sa.Connection) -> None:
    """Take the write lock at the start: a reader that becomes a writer later would fail at once."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a conflict is an answer; who inserted knows what it means
    except (DBAPIError, PoolTimeout) as error:
        raise ServiceUnavailable(
            f"the database {database.url!r} does not answer: {getattr(error, 'orig', error)}",
            "check that it runs and that the disk is not full; what was being written was rolled back",
        ) from error


def _schema_mismatch(found: str) -> VersionMismatch:
    if found > HEAD:
        return VersionMismatch(
            f"the database's schema {found} is newer than {HEAD}, the newest that this mltemporal knows",
            "upgrade this environment: pip install -U mltemporal",
        )
    return VersionMismatch(
        f"the database's schema {found} is older than {HEAD}",
        "run `mltemporal db upgrade`, or `mltemporal up`",
    )
