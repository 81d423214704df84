"""Each thing that can be wrong with a PostgreSQL server has its own sentence."""

import secrets
import socket
from collections.abc import Callable

import psycopg
import pytest
import sqlalchemy as sa
from services.postgres import PostgresServer

from mltemporal.database.engine import Database
from mltemporal.database.explaining import passes
from mltemporal.errors import ServiceUnavailable

pytestmark = pytest.mark.parametrize("url", ["postgres"], indirect=True)

MakeUser = Callable[..., str]


def refused(url: str) -> ServiceUnavailable:
    with pytest.raises(ServiceUnavailable) as caught:
        Database.open(url)
    return caught.value


@pytest.fixture
def make_user(postgres: PostgresServer, url: str) -> MakeUser:
    """Make a user that may do nothing yet, and return the URL for it."""

    def make(*options: str) -> str:
        name = f"user_{secrets.token_hex(4)}"
        postgres.execute(f"CREATE USER {name} PASSWORD 'swordfish' {' '.join(options)}")
        return postgres.url(url.rpartition("/")[2], user=name, password="swordfish")

    return make


def test_a_wrong_password(postgres: PostgresServer, url: str) -> None:
    error = refused(postgres.url("jobs", password="swordfish"))
    shown = f"postgresql+psycopg://owner:***@127.0.0.1:{postgres.port}/jobs"
    assert f"the database {shown!r} refuses the password of user 'owner'" == error.what
    assert "correct the user or the password in MLTEMPORAL_DATABASE_URL" in error.next_step
    assert "swordfish" not in f"{error}{error.__cause__}"
    assert not passes(error.__cause__)


def test_no_such_database(postgres: PostgresServer, url: str) -> None:
    error = refused(postgres.url("no_jobs"))
    assert error.what.endswith("/no_jobs' does not exist on its server")
    assert error.next_step.startswith("create it with `createdb no_jobs`")
    assert not passes(error.__cause__)


def test_no_server_there(url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = refused(f"postgresql://me@127.0.0.1:{free.getsockname()[1]}/jobs")
    assert "cannot be reached: " in error.what
    assert "Connection refused" in error.what
    assert "check that the server runs" in error.next_step
    assert passes(error.__cause__)


def test_no_such_host(url: str) -> None:
    error = refused("postgresql://me@no-such-host.invalid/jobs")
    assert "cannot be reached: " in error.what
    assert "no-such-host.invalid" in error.what


def test_too_many_connections(url: str, make_user: MakeUser) -> None:
    theirs = make_user("CONNECTION LIMIT 1")
    with psycopg.connect(theirs):
        error = refused(theirs)
    assert error.what.endswith("has no connection left")
    assert "max_connections" in error.next_step
    assert passes(error.__cause__)


def test_no_permission_on_the_schema(make_user: MakeUser, url: str) -> None:
    with pytest.raises(ServiceUnavailable) as caught:
        Database.prepare(make_user())
    assert "does not let user 'user_" in caught.value.what
    assert caught.value.what.endswith("do this: permission denied for schema public")
    assert "GRANT USAGE, CREATE ON SCHEMA public TO user_" in caught.value.next_step


def test_no_permission_on_the_tables(make_user: MakeUser, url: str, database: Database) -> None:
    error = refused(make_user())
    assert error.what.endswith("do this: permission denied for table alembic_version")
    assert "ON ALL TABLES IN SCHEMA public" in error.next_step


def test_a_read_only_database(postgres: PostgresServer, url: str, database: Database) -> None:
    name = url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    reader = Database.open(url)
    assert [] == reader.jobs.find()
    with pytest.raises(ServiceUnavailable) as caught:
        reader.jobs.withdraw(1)
    assert "is read-only: cannot execute" in caught.value.what
    assert "name the primary" in caught.value.next_step
    reader.close()


def test_a_statement_that_waits_too_long(url: str, database: Database) -> None:
    impatient = Database.open(f"{url}?options=-clock_timeout%3D50ms")
    with database.writing() as connection:
        connection.execute(sa.text("LOCK TABLE jobs"))
        with pytest.raises(ServiceUnavailable) as caught:
            impatient.jobs.find()
    assert caught.value.what.endswith("took too long: canceling statement due to lock timeout")
    assert "pg_stat_activity" in caught.value.next_step
    impatient.close()


def test_the_values_of_a_statement_are_not_in_its_error(database: Database) -> None:
    with pytest.raises(ServiceUnavailable) as caught, database.reading() as connection:
        connection.execute(sa.text("SELECT CAST(:value AS INTEGER), no_column"), {"value": "swordfish"})
    assert "does not answer: column" in caught.value.what
    assert "swordfish" not in f"{caught.value}{caught.value.__cause__}"
