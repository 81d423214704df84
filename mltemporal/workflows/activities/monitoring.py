"""Activities of a round of the monitor: look, and mend; the worker says at what, and how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.errors import ServiceUnavailable
from mltemporal.specs.health import HealthCheck, HealthState, Mended, Notice, Round
from mltemporal.workflows.activities.pulse import beating

MENDING = "mending"
"""The part under which a round says what it mended."""

_LONGEST_CHARACTERS = 4_000
_MOST_NOTICES = 20


class Deeds(Protocol):
    """What mending did, in sentences, and the jobs that it ended."""

    done: list[str]
    failed: list[str]
    ended: list[int]


class MonitoringActivities:
    """Built once a task queue.

    Args:
        database: where rounds are recorded.
        monitor: the monitor's id, with which its rounds' ids open.
        look: looks at every part; blocks, raises nothing.
        mend: mends everything; raises nothing.
        notify: whether somebody wants to be told of problems.
    """

    def __init__(
        self,
        database: Database,
        *,
        monitor: str,
        look: Callable[[], Sequence[HealthCheck]],
        mend: Callable[[], Awaitable[Deeds]],
        notify: bool = False,
    ) -> None:
        self._database = database
        self._monitor = monitor
        self._look = look
        self._mend = mend
        self._notify = notify
        self._before: tuple[float, tuple[HealthCheck, ...]] | None = None

    @activity.defn
    async def check_health(self, run: str) -> Round:
        """Look at every part and record it as the round ``run``; say what turned since the round before.

        A database that is away is a check's finding: then the round is not recorded, and what this
        worker saw last stands for the round before.

        Idempotency: what a round said first of a part stands.
        Heartbeat: each second.
        """
        async with beating():
            checks = tuple(await asyncio.to_thread(self._look))
            round_id = f"{self._monitor}/{run}"
            before = await asyncio.to_thread(self._last, round_id)
            await asyncio.to_thread(self._record, round_id, checks)
        self._before = (time.time(), checks)
        notice = Notice(text=told) if self._notify and (told := _turned(before, checks)) else None
        problems = tuple(check.part for check in checks if check.state is HealthState.PROBLEM)
        return Round(checks=len(checks), problems=problems, notice=notice)

    @activity.defn
    async def mend(self, run: str) -> Mended:
        """Mend what crashes left, and record what was done as a part of the round ``run``.

        Idempotency: what is mended is found no more.
        Heartbeat: each second.
        """
        began = time.monotonic()
        async with beating():
            deeds = await self._mend()
            took_ms = round(1000 * (time.monotonic() - began), 1)
            await asyncio.to_thread(self._record, f"{self._monitor}/{run}", [_report(deeds, took_ms)])
        ended = deeds.ended[:_MOST_NOTICES] if self._notify else []
        notices = tuple(Notice(job_id=job_id) for job_id in ended)
        return Mended(deeds=len(deeds.done), failures=len(deeds.failed), notices=notices)

    def _last(self, round_id: str) -> tuple[HealthCheck, ...]:
        """Return the checks of the newest round before this one, the recorded one or this worker's own."""
        try:
            recorded = self._database.health.newest(self._monitor, other_than=round_id)
        except ServiceUnavailable as error:
            activity.logger.warning("%s", error)
            recorded = None
        seen = self._before
        if recorded is not None and (seen is None or recorded.time >= seen[0]):
            return recorded.checks
        return seen[1] if seen is not None else ()

    def _record(self, round_id: str, checks: Sequence[HealthCheck]) -> None:
        try:
            self._database.health.record(round_id, checks)
        except ServiceUnavailable as error:  # a check says so too, and people are told by it
            activity.logger.warning("the round is not recorded: %s", error)


def _turned(before: Sequence[HealthCheck], now: Sequence[HealthCheck]) -> str:
    """Say which parts turned to a problem, or back; empty where none did."""
    bad_before = {check.part for check in before if check.state is HealthState.PROBLEM}
    lines = []
    for check in now:
        if check.state is HealthState.PROBLEM and check.part not in bad_before:
            next_step = f" Next step: {check.next_step}." if check.next_step else ""
            lines.append(f"{check.part} has a problem: {check.detail}.{next_step}")
        elif check.state is not HealthState.PROBLEM and check.part in bad_before:
            lines.append(f"{check.part} is well again: {check.detail}.")
    return "\n".join(lines)[:_LONGEST_CHARACTERS]


def _report(deeds: Deeds, took_ms: float) -> HealthCheck:
    state, next_step = HealthState.OK, ""
    if deeds.failed:
        state, next_step = HealthState.PROBLEM, "look at it: the next round tries again"
    elif deeds.done:
        state, next_step = HealthState.WARNING, "nothing: it is mended; if it goes on, look for what crashes"
    detail = "; ".join([*deeds.failed, *deeds.done])[:_LONGEST_CHARACTERS]
    return HealthCheck(
        part=MENDING,
        state=state,
        latency_ms=took_ms,
        detail=detail or "nothing was left behind",
        next_step=next_step,
    )
