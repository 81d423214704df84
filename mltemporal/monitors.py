"""``monitor(every=…)`` and ``health()``: what people call to watch over the services."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mltemporal import background, request, session
from mltemporal.errors import InvalidRequest, MLTemporalError
from mltemporal.monitoring.board import HealthBoard

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.database.health import HealthRound
    from mltemporal.monitoring.schedule import ScheduleState
    from mltemporal.session import Session

__all__ = ["HealthBoard", "Monitor", "health", "monitor"]

SHORTEST_S = 10.0
"""The shortest time between two rounds: a round itself takes a second."""
_SHOWN_S = 2 * 86_400.0


class Monitor:
    """The monitor of this session's jobs: a schedule in Temporal, which runs without this process."""

    def __init__(self, here: Session, monitor: str, every_s: float) -> None:
        self._session = here
        self.id = monitor
        """Of the schedule in Temporal, and of the rounds in the database."""
        self.every = timedelta(seconds=every_s)
        """Time between two rounds."""

    def __repr__(self) -> str:
        return f"Monitor({self.id!r}, every {self.every.total_seconds():g} s)"

    def _repr_html_(self) -> str:
        return self.health()._repr_html_()

    @property
    def running(self) -> bool:
        """Whether Temporal starts rounds."""
        found = self._state()
        return found is not None and not found.paused

    @property
    def next_run(self) -> datetime | None:
        """When the next round starts (UTC); None where none will."""
        found = self._state()
        return None if found is None else found.next_run

    def health(self) -> HealthBoard:
        """Return the latest round, or a look of this process where there is none of late."""
        return _board(self._session, self.id)

    def trigger(self) -> None:
        """Start a round now, unless one runs; returns before it has ended.

        Raises:
            InvalidRequest: the monitor was stopped.
            ServiceUnavailable: Temporal does not answer.
        """
        from mltemporal.monitoring import schedule

        async def ask() -> bool:
            return await schedule.trigger(await self._session.client(), self.id)

        if not background.run(ask()):
            raise InvalidRequest(f"the monitor {self.id!r} was stopped", "start it: mltemporal.monitor()")

    def stop(self) -> bool:
        """End the monitor; what it recorded stays for a week. Returns whether it ran. Idempotent."""
        from mltemporal.monitoring import schedule

        async def ask() -> bool:
            return await schedule.delete(await self._session.client(), self.id)

        return background.run(ask())

    def history(self) -> pd.DataFrame:
        """Return every check of the last days, a row each, oldest first."""
        from mltemporal.monitoring.board import history_frame

        return history_frame(_past(self._session, self.id))

    def _state(self) -> ScheduleState | None:
        return _describe(self._session, self.id)


def monitor(every: str | float | timedelta = "1m") -> Monitor:
    """Have every part that jobs need looked at, and what crashes left mended, again and again.

    Idempotent: a monitor that runs is given the time between rounds that is asked for.

    Args:
        every: time between two rounds: ``"1m"``, ``"90s"``, a number of seconds; 10 s at least.

    Returns:
        The monitor. It runs in Temporal and the workers, also when this process has ended; `Monitor.stop`
        ends it.

    Raises:
        InvalidRequest: ``every`` is no duration, or too short.
        ServiceUnavailable: the services do not answer.
    """
    from mltemporal.monitoring import schedule

    every_s = _every(every)
    here = session.current()
    queue = here.task_queue(here.settings.backend)
    name = schedule.monitor_id(here.settings, here.database, queue)

    async def ask() -> None:
        await schedule.put(await here.client(), name, queue=queue, every_s=every_s)

    background.run(ask())
    return Monitor(here, name, every_s)


def health() -> HealthBoard:
    """Return how every part is: the monitor's latest round, or, where there is none of late, a look now.

    The board says which of the two it is. A look now takes up to 15 s where a part does not answer,
    and mends nothing.

    Raises:
        ServiceUnavailable: the services cannot be started at all.
    """
    from mltemporal.monitoring import schedule

    here = session.current()
    queue = here.task_queue(here.settings.backend)
    return _board(here, schedule.monitor_id(here.settings, here.database, queue))


def _every(every: str | float | timedelta) -> float:
    try:
        value = request.seconds(every)
    except InvalidRequest as error:
        raise InvalidRequest(error.what.replace("timeout=", "every=", 1), error.next_step) from None
    if value < SHORTEST_S:
        raise InvalidRequest(f"every={every!r} is too short", f'give at least {SHORTEST_S:.0f} s: "1m"')
    return value


def _board(here: Session, monitor: str) -> HealthBoard:
    """Show the newest round if a monitor runs and it is of late; otherwise look from here, and say why."""
    try:
        state = _describe(here, monitor)
        newest = here.database.health.newest(monitor)
    except MLTemporalError as error:
        return _look(here, monitor, f"the monitor cannot be asked: {error.what}")
    if state is None or state.paused:
        return _look(here, monitor, "no monitor runs: mltemporal.monitor() starts one")
    if newest is None:
        return _look(here, monitor, "the monitor has not ended its first round yet")
    age_s = time.time() - newest.time
    if age_s > 3 * state.every_s + 30:
        return _look(
            here, monitor, f"the monitor's last round is {age_s / 60:.0f} min old: does a worker run?"
        )
    return HealthBoard(
        checks=newest.checks,
        time=newest.time,
        note=f"from the monitor {monitor}, which looks every {state.every_s:g} s",
        _past=lambda: _past(here, monitor),
    )


def _look(here: Session, monitor: str, why: str) -> HealthBoard:
    from mltemporal.monitoring.checks import looker

    now = time.time()
    return HealthBoard(
        checks=looker(here.settings).look(),
        time=now,
        note=f"looked at from this process just now; {why}",
        _past=lambda: _past(here, monitor),
    )


def _past(here: Session, monitor: str) -> list[HealthRound]:
    return here.database.health.since(monitor, time.time() - _SHOWN_S)


def _describe(here: Session, monitor: str) -> ScheduleState | None:
    from mltemporal.monitoring import schedule

    async def ask() -> ScheduleState | None:
        return await schedule.describe(await here.client(), monitor)

    return background.run(ask())
