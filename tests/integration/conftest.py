"""One stack with a real worker, shared by the tests that launch jobs on it."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mltemporal
from mltemporal import background, session, stack
from mltemporal.database.engine import Database
from mltemporal.database.tables import metadata
from mltemporal.handles import TrainingJob
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings
from mltemporal.stack.process import ProcessId

RECORDED = ("jobs", "datasets", "attempts", "points", "events", "artifacts", "log_chunks")


def until(reached: Callable[[], Any], within_s: float = 60) -> Any:
    """Wait until ``reached()`` is true, and return what it gave."""
    deadline = time.monotonic() + within_s
    while not (found := reached()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def count(data: pd.DataFrame, steps: int = 5, pause_s: float = 0.0) -> dict[str, float]:
    """Report so many steps; what most of these jobs do."""
    import time

    for step in range(1, steps + 1):
        mltemporal.report(step=step, total=steps, loss=1 / step)
        time.sleep(pause_s)
    return {"rows": len(data)}


@dataclass
class World:
    """The home of the running stack, and what can be seen of it from outside."""

    settings: Settings
    database: Database

    @property
    def environ(self) -> dict[str, str]:
        """The environment of another kernel of the same home."""
        return {**os.environ, **self.settings.environ()}

    def folder(self, job: TrainingJob) -> ProcessFolder:
        """The process of the job's newest attempt."""
        row = self.database.jobs.get(job.id)
        return ProcessFolder(self.settings.home / "jobs" / f"{row.key}-{row.attempt}")

    def training(self, job: TrainingJob) -> ProcessId:
        """The training process, as soon as there is one."""
        until(lambda: self.folder(job).started)
        process = ProcessId.of(
            json.loads((self.folder(job).path / "process.json").read_text())["training"][0]
        )
        assert process is not None
        return process

    def steps(self, job: TrainingJob) -> list[tuple[int, int | None]]:
        """(attempt, step) of each recorded point."""
        return [(point.attempt, point.step) for _, point in self.database.progress.points(job.id)]

    def traces(self) -> dict[str, Any]:
        """Everything that a launch could leave: rows, files, workflows."""
        with self.database.reading() as connection:
            rows = {
                name: connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name]))
                for name in RECORDED
            }
        home = self.settings.home
        folders = (Path(self.settings.storage_url), home / "launch", home / "jobs")
        files = {str(path) for folder in folders for path in folder.rglob("*") if path.is_file()}
        return {**rows, "files": files, "workflows": background.run(_workflows())}

    def left_by(self, call: Callable[[], object]) -> dict[str, Any]:
        """What ``call`` left that was not there before."""
        before = self.traces()
        call()
        time.sleep(0.1)  # Temporal's list of workflows is a little late
        after = self.traces()
        return {name: after[name] for name in before if before[name] != after[name]}


async def _workflows() -> int:
    client = await session.current().client()
    return (await client.count_workflows()).count


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a stack that is up; in the end nothing of it is left running."""
    settings = load_settings(
        {
            "MLTEMPORAL_HOME": str(tmp_path_factory.mktemp("shared") / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_MAX_LOCAL_JOBS": "4",
        }
    )
    stack.up(settings)
    yield settings
    session.replace(None)
    stack.down(settings)
    folders = [ProcessFolder(path.parent) for path in settings.home.glob("jobs/*/order.json")]
    for folder in folders:
        folder.kill()
    assert [] == [folder.name for folder in folders], "a process was left behind"
    assert [] == list(settings.home.glob("launch/*")), "an environment was left behind"
    assert [] == list(Path(settings.storage_url).glob("incoming/*")), "a half-written object was left behind"


@pytest.fixture
def world(running: Settings) -> Iterator[World]:
    session.replace(running)
    yield World(running, session.current().database)
    session.replace(None)


@pytest.fixture
def table() -> pd.DataFrame:
    """Rows of two classes that one column tells apart."""
    return pd.DataFrame({"x": [float(i) for i in range(400)], "y": [int(i >= 200) for i in range(400)]})


@pytest.fixture(name="count")
def _count() -> Callable[..., dict[str, float]]:
    return count


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
def in_a_loop() -> Callable[[Any], Any]:
    """Run an awaitable in an event loop of its own, as a notebook's cell does."""

    async def wait(awaitable: Any) -> Any:
        return await awaitable

    return lambda awaitable: asyncio.run(wait(awaitable))


@pytest.fixture
def forever(world: World, table: pd.DataFrame) -> Iterator[TrainingJob]:
    """A job that would run for a quarter of an hour, cancelled with the test."""
    job = mltemporal.train(table, count, params={"steps": 9000, "pause_s": 0.1}, name="forever")
    until(lambda: world.steps(job))
    yield job
    job.cancel()
    job.wait(60)
