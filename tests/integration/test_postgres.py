"""A local job whose record is kept in PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from services.postgres import PostgresServer

import mltemporal
from mltemporal import session, stack
from mltemporal.settings import Settings, load_settings
from mltemporal.specs.running import JobStatus


@pytest.fixture
def database_name(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.create()
    yield name
    postgres.drop(name)


@pytest.fixture
def settings(postgres: PostgresServer, database_name: str, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a stack of its own that is up, over an empty database."""
    made = load_settings(
        {
            "MLTEMPORAL_HOME": str(tmp_path / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_DATABASE_URL": postgres.url(database_name),
        }
    )
    stack.up(made)
    session.replace(made)
    yield made
    session.replace(None)
    stack.down(made)


def test_a_job_outlives_the_connections_to_its_database(
    *,
    settings: Settings,
    postgres: PostgresServer,
    database_name: str,
    table: pd.DataFrame,
    count: Callable[..., dict[str, float]],
    until: Callable[[Callable[[], Any]], Any],
) -> None:
    job = mltemporal.train(table, count, params={"steps": 60, "pause_s": 0.05}, name="counting")
    for seen in (5, 20, 40):
        until(lambda seen=seen: len(job.metrics()) > seen)
        assert postgres.disconnect(database_name) > 0
    result = job.result(60)
    assert (1, {"rows": float(len(table))}) == (result.attempts, result.metrics)
    assert list(range(1, 61)) == list(job.metrics()["step"])
    assert JobStatus.SUCCEEDED == mltemporal.job(job.id).status
    assert "follow" not in set(job.history()["kind"]), "the worker went on by itself"

    told = mltemporal.status()
    assert told.running
    assert len(told.workers) == 1
    assert postgres.password not in f"{told!r}{told.database}{session.current().database!r}"
    kept = [path for path in settings.home.rglob("*") if path.is_file()]
    assert [] == [path for path in kept if postgres.password.encode() in path.read_bytes()]
