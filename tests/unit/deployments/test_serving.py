"""What a worker does about the version that is current, while it works."""

import asyncio
import logging
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from mltemporal.deployments import serving as module
from mltemporal.deployments.build import build_id
from mltemporal.deployments.calls import Routing
from mltemporal.deployments.serving import Serving
from mltemporal.specs.encoding import encode
from mltemporal.stack.home import StackFiles
from mltemporal.stack.process import ProcessId


class FakeDeployment:
    """Where Temporal would send new work; counts how often it was asked."""

    def __init__(self, current: str) -> None:
        self.current, self.asked = current, 0

    async def routing(self) -> Routing:
        self.asked += 1
        return Routing(current=self.current)

    async def set_current(self, build: str, **_: object) -> None:
        self.current = build


@pytest.fixture
def kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    async def keep(deployment: FakeDeployment, *, takes_over: bool, alive: tuple[str, ...] = ()) -> None:
        """Let a worker look some times at what is current."""

        async def client() -> None:
            return None

        async def moved(*_: object) -> asyncio.Task[None]:
            return asyncio.create_task(asyncio.sleep(0))

        monkeypatch.setattr(module, "Deployment", lambda *_: deployment)
        monkeypatch.setattr(module, "LOOK_EVERY_S", 0.001)
        monkeypatch.setattr(module, "LOOK_AMONG_MANY_S", 0.001)
        monkeypatch.setattr(module, "moved_within", moved)
        workers = [SimpleNamespace(version=build, task_queue="queue") for build in alive]
        database = SimpleNamespace(workers=SimpleNamespace(alive=lambda: workers))
        here = SimpleNamespace(client=client, database=database, settings=SimpleNamespace(home=tmp_path))
        serving = Serving(here, "queue", takes_over=takes_over)
        task = asyncio.create_task(serving.keep())
        async with asyncio.timeout(30):
            while deployment.asked < 4:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})
        await serving.end()

    return keep


async def test_on_a_laptop_it_takes_over_from_a_build_whose_worker_died(kept) -> None:
    deployment = FakeDeployment("9.0.0-promoted")
    await kept(deployment, takes_over=True)
    assert build_id() == deployment.current


async def test_it_leaves_a_build_current_that_has_a_worker_somewhere(kept) -> None:
    deployment = FakeDeployment("9.0.0-promoted")
    await kept(deployment, takes_over=True, alive=("9.0.0-promoted",))
    assert "9.0.0-promoted" == deployment.current


async def test_it_leaves_a_build_current_whose_deployed_worker_lives(kept, tmp_path) -> None:
    files = StackFiles(tmp_path)
    files.deployed.mkdir(parents=True)
    (files.deployed / "9.0.0-promoted.json").write_text(encode(ProcessId.of(os.getpid())))
    deployment = FakeDeployment("9.0.0-promoted")
    await kept(deployment, takes_over=True)
    assert "9.0.0-promoted" == deployment.current


async def test_in_a_team_it_says_once_that_the_current_build_has_no_worker(
    kept, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = FakeDeployment("9.0.0-promoted")
    with caplog.at_level(logging.WARNING, "mltemporal.worker"):
        await kept(deployment, takes_over=False)
    assert "9.0.0-promoted" == deployment.current
    assert 1 == caplog.text.count("build 9.0.0-promoted is current and has no worker: new jobs wait")
