"""The Temporal Schedule that starts the monitor's rounds: made, changed, described, ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mltemporal.errors import ServiceUnavailable
from mltemporal.settings import Settings
from mltemporal.stack.home import home_id
from mltemporal.stack.overview import task_queue

if TYPE_CHECKING:
    from temporalio.client import Client, Schedule

    from mltemporal.database.engine import Database

_ROUND_WITHIN = timedelta(minutes=30)
_CATCH_UP = timedelta(seconds=30)
"""Rounds that were missed (a laptop was closed) are not made up for."""


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """A schedule as Temporal describes it."""

    every_s: float
    paused: bool
    next_run: datetime | None
    """In UTC; None while it is paused."""
    rounds: int
    """How many were started."""


def monitor_id(settings: Settings, database: Database, queue: str) -> str:
    """Return the id of the monitor whose rounds go over a task queue: one for each database.

    Where Temporal and database are shared, each home that runs local jobs has one of its own, over its
    own queue: nobody else sees its processes and its disk.
    """
    of_database = f"monitor-{database.id}"
    if settings.temporal_configured and queue == task_queue(settings, database, "local"):
        return f"{of_database}-{home_id(settings.home)}"
    return of_database


async def put(client: Client, monitor: str, *, queue: str, every_s: float) -> None:
    """Make the schedule, or change the one that there is; it runs afterwards. Idempotent.

    Raises:
        ServiceUnavailable: Temporal does not answer, or refuses.
    """
    from temporalio.client import ScheduleAlreadyRunningError, ScheduleUpdate, ScheduleUpdateInput

    wanted = _schedule(monitor, queue, every_s)

    def update(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=wanted)

    with _translated():
        try:
            await client.create_schedule(monitor, wanted, trigger_immediately=True)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(monitor).update(update)


async def describe(client: Client, monitor: str) -> ScheduleState | None:
    """Return the schedule's state; None where there is none.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError, RPCStatusCode

    with _translated():
        try:
            found = await client.get_schedule_handle(monitor).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
    intervals, times = found.schedule.spec.intervals, found.info.next_action_times
    paused = found.schedule.state.paused
    return ScheduleState(
        every_s=intervals[0].every.total_seconds() if intervals else 0.0,
        paused=paused,
        next_run=times[0] if times and not paused else None,
        rounds=found.info.num_actions,
    )


async def trigger(client: Client, monitor: str) -> bool:
    """Start a round now, unless one runs; returns False where there is no schedule.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError, RPCStatusCode

    with _translated():
        try:
            await client.get_schedule_handle(monitor).trigger()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


async def delete(client: Client, monitor: str) -> bool:
    """End the schedule; a round that runs goes on to its end. Returns whether there was one. Idempotent.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError, RPCStatusCode

    with _translated():
        try:
            await client.get_schedule_handle(monitor).delete()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


def _schedule(monitor: str, queue: str, every_s: float) -> Schedule:
    from temporalio.client import (
        Schedule,
        ScheduleActionStartWorkflow,
        ScheduleIntervalSpec,
        ScheduleOverlapPolicy,
        SchedulePolicy,
        ScheduleSpec,
    )

    return Schedule(
        action=ScheduleActionStartWorkflow(
            "MonitoringWorkflow",
            args=[monitor],  # sealed, where there are keys: so nobody else can start rounds
            id=monitor,
            task_queue=queue,
            execution_timeout=_ROUND_WITHIN,
            static_summary="a round of the monitor",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=every_s))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )


@contextmanager
def _translated() -> Iterator[None]:
    from temporalio.service import RPCError

    try:
        yield
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal does not keep the monitor's schedule: {error.message}", "run `mltemporal doctor`"
        ) from error
