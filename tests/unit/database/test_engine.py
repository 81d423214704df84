"""Opening, preparing and migrating a database; what its errors say."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mltemporal.database import engine
from mltemporal.database.engine import Database
from mltemporal.database.migrations import config
from mltemporal.database.tables import metadata
from mltemporal.errors import InvalidRequest, ServiceUnavailable, VersionMismatch


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [] == compare_metadata(context, metadata)


def test_the_newest_migration_is_the_one_that_the_code_asks_for() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == engine.HEAD


def test_preparing_twice_changes_nothing(url: str, database: Database) -> None:
    before = database.id
    Database.prepare(url)
    again = Database.open(url)
    assert (before, engine.HEAD) == (again.id, again.revision())
    again.close()


def test_opening_once_more_lets_go_of_no_lock_of_this_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    Database.prepare(url)
    first = Database.open(url)
    assert first.revision()
    Database.open(url)  # connects to nothing yet
    program = (
        "import sqlite3, sys\n"
        "other = sqlite3.connect(sys.argv[1])\n"
        "other.execute('SELECT * FROM jobs')\n"
        "other.close()\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "jobs.db"], check=True)
    assert (tmp_path / "jobs.db-wal").exists(), "the other process took itself for the last, and removed it"
    first.close()


def test_each_database_has_an_id_of_its_own(tmp_path: Path, database: Database) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    Database.prepare(url)
    other = Database.open(url)
    assert 8 == len(other.id)
    assert database.id != other.id
    other.close()


def test_processes_that_prepare_at_once_make_one_schema(url: str) -> None:
    program = "import sys\nfrom mltemporal.database.engine import Database\nDatabase.prepare(sys.argv[1])\n"
    command = [sys.executable, "-c", program, url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=60)[1] for process in processes]
    assert ([0] * 3, [""] * 3) == ([process.returncode for process in processes], told)
    database = Database.open(url)
    with database.reading() as connection:
        assert 1 == connection.scalar(sa.text("SELECT count(*) FROM meta WHERE name = 'database_id'"))
    database.close()


def test_a_newer_schema_is_refused_by_open_and_prepare(url: str, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    refuse: tuple[Callable[[str], object], ...] = (Database.open, Database.prepare)
    for call in refuse:
        with pytest.raises(VersionMismatch) as caught:
            call(url)
        assert "the database's schema 9999 is newer than" in caught.value.what
        assert "upgrade this environment: pip install -U mltemporal" == caught.value.next_step
    assert "9999" == database.revision()


def test_an_older_schema_names_the_command(url: str, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(VersionMismatch) as caught:
        Database.open(url)
    assert (
        f"the database's schema 0000 is older than {engine.HEAD}\n"
        "Next step: run `mltemporal db upgrade`, or `mltemporal up`"
    ) == str(caught.value)


def test_a_database_that_was_never_prepared_names_the_command(url: str) -> None:
    with pytest.raises(ServiceUnavailable) as caught:
        Database.open(url)
    shown = sa.make_url(url).set(drivername="sqlite" if url.startswith("sqlite") else "postgresql+psycopg")
    assert (
        f"the database {str(shown)!r} has no tables of ours yet\n"
        "Next step: run `mltemporal up`, or `mltemporal db upgrade`"
    ) == str(caught.value)


@pytest.mark.parametrize("url", ["", "no url", "postgresql://me:swordfish@host:port/name"])
def test_what_is_no_database_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="the database URL is none that SQLAlchemy knows"):
        Database.open(url)


@pytest.mark.parametrize("driver", ["oracle9", "mysql+mysqldb", "postgresql+asyncpg", "sqlite+aiosqlite"])
def test_another_database_or_driver_is_refused(driver: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Database.open(f"{driver}://me@host/name")
    assert (
        f"the database URL begins with {driver!r}; the record is kept in SQLite or PostgreSQL"
        == caught.value.what
    )


def test_a_driver_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidRequest, match="the driver for PostgreSQL is not installed: ") as caught:
        Database.open("postgresql://me@host/name")
    assert "install it with pip install 'mltemporal[postgres]'" == caught.value.next_step


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest) as caught:
        Database.prepare(f"sqlite:///{tmp_path / 'file' / 'jobs.db'}")
    assert (
        f"the database's folder {str(tmp_path / 'file')!r} cannot be made: File exists" == caught.value.what
    )


def test_a_file_that_is_no_database_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ServiceUnavailable) as caught:
        Database.prepare(f"sqlite:///{tmp_path / 'jobs.db'}")
    assert (
        f"the database 'sqlite:///{tmp_path / 'jobs.db'}' does not answer: file is not a database"
        == caught.value.what
    )


def test_a_write_that_fails_is_rolled_back(database: Database) -> None:
    def half() -> None:
        with database.writing() as connection:
            connection.execute(sa.text("INSERT INTO meta (name, value) VALUES ('half', 'done')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with database.reading() as connection:
        assert 0 == connection.scalar(sa.text("SELECT count(*) FROM meta WHERE name = 'half'"))


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.writing() as writer:
        writer.execute(sa.text("INSERT INTO meta (name, value) VALUES ('half', 'done')"))
        with database.reading() as reader:
            assert 0 == reader.scalar(sa.text("SELECT count(*) FROM meta WHERE name = 'half'"))


def test_a_file_has_a_write_ahead_log(prepared: Path) -> None:
    with sqlite3.connect(prepared) as direct:
        assert [("wal",)] == direct.execute("PRAGMA journal_mode").fetchall()
    direct.close()
