"""``monitor()`` and ``health()``: what people call."""

import asyncio
import time
from datetime import timedelta

import pytest
from temporalio.client import Client

from mltemporal import monitors, session
from mltemporal.errors import InvalidRequest
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.specs.health import HealthCheck, HealthState


@pytest.fixture
def here(world, monkeypatch):
    """The session of this process, in the test's world; its client belongs to the background loop."""

    class Here(WorkersSession):
        async def client(self) -> Client:
            return await Client.connect(world.client.service_client.config.target_host)

    here = Here(world.settings, world.client, world.database, {})
    monkeypatch.setattr(session, "_current", here)
    return here


async def test_a_monitor_is_started_changed_looked_at_and_stopped(here):
    first = await asyncio.to_thread(monitors.monitor, "1h")
    assert (f"monitor-{here.database.id}", timedelta(hours=1)) == (first.id, first.every)
    again = await asyncio.to_thread(monitors.monitor, 1800)
    assert f"Monitor('{first.id}', every 1800 s)" == repr(again)
    assert await asyncio.to_thread(lambda: again.running)
    assert (await asyncio.to_thread(lambda: again.next_run)).timestamp() > time.time()
    await asyncio.to_thread(again.trigger)
    board = await asyncio.to_thread(monitors.health)
    assert "looked at from this process just now; the monitor has not ended its first round" in board.note

    def record(at: float) -> None:
        check = HealthCheck(part="disk", state=HealthState.OK, latency_ms=1.0, detail="fine")
        here.database.health.record(f"{first.id}/{at}", [check], at=at)

    record(time.time() - 7200)
    board = await asyncio.to_thread(again.health)
    assert "the monitor's last round is 120 min old: does a worker run?" in board.note
    assert {"stack", "database", "disk"} <= {check.part for check in board.checks}
    record(time.time())
    board = await asyncio.to_thread(monitors.health)
    assert f"from the monitor {first.id}, which looks every 1800 s" == board.note
    assert ["disk"] == [check.part for check in board.checks]
    assert 2 == len(board.history) == len(await asyncio.to_thread(again.history))

    assert await asyncio.to_thread(again.stop)
    assert not await asyncio.to_thread(again.stop)
    assert not await asyncio.to_thread(lambda: again.running)
    assert await asyncio.to_thread(lambda: again.next_run) is None
    with pytest.raises(InvalidRequest, match="was stopped"):
        await asyncio.to_thread(again.trigger)
    board = await asyncio.to_thread(monitors.health)
    assert board.note.endswith("no monitor runs: mltemporal.monitor() starts one")


@pytest.mark.parametrize(("every", "said"), [("5s", "too short"), ("often", "no duration"), (9, "too short")])
def test_a_time_between_rounds_that_cannot_be_is_refused(every, said):
    with pytest.raises(InvalidRequest, match=f"every={every!r} is {said}"):
        monitors.monitor(every)
