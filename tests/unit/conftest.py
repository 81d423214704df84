"""A database of the test's own, within a millisecond."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltemporal.database.engine import Database


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "jobs.db"
    Database.prepare(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the test's database is, or will be."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def database(url: str, prepared: Path) -> Iterator[Database]:
    shutil.copyfile(prepared, url.removeprefix("sqlite:///"))
    opened = Database.open(url)
    yield opened
    opened.close()
