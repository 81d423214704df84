"""Which open workflows are replaced when other code takes over."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from mltemporal.deployments import moving
from mltemporal.deployments.replaying import Replayed


def replayed(name: str, reason: str, *, in_time: bool = True) -> Replayed:
    return Replayed(
        workflow_id=name, run_id="r", kind="TrainingWorkflow", open=True, reason=reason, in_time=in_time
    )


async def test_what_does_not_fit_is_replaced_and_what_was_not_replayed_in_time_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    results = [replayed("fits", ""), replayed("slow", "it took long", in_time=False), replayed("odd", "odd")]
    gone = []

    async def recent(*_: object, **__: object) -> list[object]:
        return []

    async def replay(*_: object) -> AsyncIterator[Replayed]:
        for each in results:
            yield each

    async def replace(_: object, found: Replayed) -> None:
        gone.append(found.workflow_id)

    async def client() -> None:
        return None

    monkeypatch.setattr(moving, "recent", recent)
    monkeypatch.setattr(moving, "replay", replay)
    monkeypatch.setattr(moving, "_replace", replace)
    await moving.move_over(SimpleNamespace(client=client, database=None), ["queue"])
    assert ["odd"] == gone
    assert "slow is left as it is: it took long" in caplog.text
