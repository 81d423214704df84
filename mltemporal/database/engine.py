"""How the database is opened, and the one place where its errors are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mltemporal.database import tables
from mltemporal.database.connecting import make_engine, shown
from mltemporal.database.explaining import explained
from mltemporal.errors import ServiceUnavailable, VersionMismatch

if TYPE_CHECKING:
    from mltemporal.database.datasets import Datasets
    from mltemporal.database.health import Health
    from mltemporal.database.jobs import Jobs
    from mltemporal.database.leftovers import Leftovers
    from mltemporal.database.progress import ProgressRecord
    from mltemporal.database.workers import Workers

HEAD = "0003"
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
        return shown(self.engine.url)

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    @classmethod
    def open(cls, url: str, *, connections: int = 4) -> Database:
        """Open the database at ``url`` (an SQLAlchemy URL) at the schema that this code needs.

        Args:
            connections: how many connections to PostgreSQL are kept open for use by so many threads.

        Raises:
            InvalidRequest: ``url`` is no database URL, or its driver is not installed.
            ServiceUnavailable: it does not answer, or was never prepared.
            VersionMismatch: its schema is older or newer than this code.
        """
        database = cls(make_engine(url, connections=connections))
        try:
            database._check()
        except BaseException:
            database.close()
            raise
        return database

    def _check(self) -> None:
        found = self.revision()
        if found is None:
            raise ServiceUnavailable(
                f"the database {self.url!r} has no tables of ours yet",
                "run `mltemporal up`, or `mltemporal db upgrade`",
            )
        if found != HEAD:
            raise _schema_mismatch(found)

    @classmethod
    def prepare(cls, url: str) -> None:
        """Bring the database to the newest schema. Idempotent; safe to run from several processes.

        Raises:
            VersionMismatch: its schema is newer than this code.
            InvalidRequest, ServiceUnavailable: as for `open`.
        """
        database = cls(make_engine(url, connections=1))
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

    @cached_property
    def health(self) -> Health:
        """Rounds of the monitor."""
        from mltemporal.database.health import Health

        return Health(self)

    @cached_property
    def leftovers(self) -> Leftovers:
        """What crashes may have left."""
        from mltemporal.database.leftovers import Leftovers

        return Leftovers(self)

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


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a conflict is an answer; who inserted knows what it means
    except (DBAPIError, PoolTimeout) as error:
        raise explained(error, database.engine.url) from error


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
