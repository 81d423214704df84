"""Where a database is, and what is never shown of it."""

import pytest
import sqlalchemy as sa

from mltemporal.database.connecting import make_engine, shown
from mltemporal.database.engine import Database
from mltemporal.errors import InvalidRequest


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_usual_scheme_means_the_one_driver(scheme: str) -> None:
    engine = make_engine(f"{scheme}://me@db:5433/jobs", connections=4)
    assert ("postgresql+psycopg", 5433) == (engine.url.drivername, engine.url.port)


def test_a_password_is_never_shown() -> None:
    for url in (
        "postgresql://me:swordfish@db/jobs",
        "postgresql://db/jobs?user=me&password=swordfish&sslpassword=swordfish",
    ):
        database = Database(make_engine(url, connections=4))
        assert "swordfish" not in repr(database) + database.url
    assert "postgresql://me:***@db/jobs" == shown(sa.make_url("postgresql://me:swordfish@db/jobs"))


@pytest.mark.parametrize("url", ["postgresql://me:sword@fish@db/jobs", "postgresql://me:swordfish@db:port/x"])
def test_a_url_that_is_misread_is_not_quoted(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Database.open(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "fish" not in str(error)
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_connection_has_limits_and_a_name(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "application_name", "transaction_isolation")
    with database.writing() as connection:
        found = [connection.scalar(sa.text(f"SHOW {name}")) for name in names]
    assert ["1min", "20s", "mltemporal", "read committed"] == found


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_the_url_s_own_options_come_first(url: str, database: Database) -> None:
    mine = Database.open(f"{url}?application_name=mine&options=-cstatement_timeout%3D5s")
    with mine.reading() as connection:
        assert "mine" == connection.scalar(sa.text("SHOW application_name"))
        assert "5s" == connection.scalar(sa.text("SHOW statement_timeout"))
    mine.close()
