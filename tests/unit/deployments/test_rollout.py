"""What a person does with versions: to which one a rollback goes, and what a refusal leaves alone."""

from types import SimpleNamespace

import pytest

from mltemporal.deployments import rollout as module
from mltemporal.deployments.calls import Routing, Version
from mltemporal.deployments.rollout import Rollout
from mltemporal.errors import InvalidRequest


class FakeDeployment:
    """Versions as Temporal would tell of them."""

    name = "queue"

    def __init__(self, *versions: Version) -> None:
        self.current = next((each.build for each in versions if each.state == "current"), "")
        self._versions = sorted(versions, key=lambda version: -version.created_at)

    async def routing(self) -> Routing:
        return Routing(current=self.current)

    async def versions(self) -> list[Version]:
        return self._versions

    async def set_current(self, build: str) -> None:
        self.current = build


def version(build: str, state: str, created: float, *, current_at: float = 0.0) -> Version:
    return Version(build=build, state=state, created_at=created, since=created, became_current_at=current_at)


def rollout(tmp_path, *versions: Version, dead: str = "") -> tuple[Rollout, FakeDeployment]:
    """The versions, each but ``dead`` with a worker that is alive."""
    alive = [
        SimpleNamespace(version=each.build, task_queue="queue") for each in versions if each.build != dead
    ]
    settings = SimpleNamespace(
        task_queue="queue", temporal_configured=False, versioning="pinned", home=tmp_path
    )
    made = Rollout(settings, None, SimpleNamespace(workers=SimpleNamespace(alive=lambda: alive)))
    made._deployment = deployment = FakeDeployment(*versions)
    return made, deployment


async def test_a_rollback_leaves_out_what_was_never_promoted(tmp_path) -> None:
    made, deployment = rollout(
        tmp_path,
        version("a", "draining", 1.0, current_at=1.0),
        version("b", "waiting", 2.0),
        version("c", "current", 3.0, current_at=4.0),
    )
    await made.rollback(lambda _: None)
    assert "a" == deployment.current


async def test_a_rollback_goes_to_what_was_current_last(tmp_path) -> None:
    made, deployment = rollout(
        tmp_path,
        version("a", "drained", 1.0, current_at=3.5),
        version("b", "drained", 2.0, current_at=2.5),
        version("c", "current", 3.0, current_at=4.0),
    )
    await made.rollback(lambda _: None)
    assert "a" == deployment.current


async def test_a_rollback_to_what_has_no_worker_is_refused(tmp_path) -> None:
    made, deployment = rollout(
        tmp_path,
        version("a", "draining", 1.0, current_at=1.0),
        version("b", "waiting", 2.0),
        version("c", "current", 3.0, current_at=4.0),
        dead="a",
    )
    with pytest.raises(InvalidRequest, match="no version before c whose workers are alive"):
        await made.rollback(lambda _: None)
    assert "c" == deployment.current


async def test_where_a_version_may_not_be_retired_its_worker_goes_on(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = rollout(tmp_path, version("a", "drained", 1.0), version("b", "current", 2.0, current_at=2.0))
    stopped = []
    running = SimpleNamespace(build="a", home=str(tmp_path))
    monkeypatch.setattr("mltemporal.stack.control.state", lambda _: running)
    monkeypatch.setattr(module.deployed, "stop", lambda _, build: stopped.append(build))
    with pytest.raises(InvalidRequest, match="the one that the stack of"):
        await made.retire("a", lambda _: None)
    assert [] == stopped
