"""Processes, Kubernetes Jobs and launch contexts whose job has ended or is unknown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.errors import MLTemporalError, NotFound
from mltemporal.launchers.base import Launcher
from mltemporal.monitoring.deeds import Deeds
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.stack import doctor_cluster
from mltemporal.workflows.activities.recording import record_output

CONTEXT_S = 7 * 86_400.0
"""How long a launch context of a job that this database does not know is kept: it may be another's."""

_UNKNOWN_GRACE_S = 10.0
"""Between SIGTERM and SIGKILL where no spec says how long."""


async def alive(launchers: Mapping[str, Launcher], row: JobRow) -> bool:
    """Whether the job's newest attempt has a process that has not ended, as far as this worker sees."""
    launcher = launchers.get(row.spec.backend)
    seen = None if launcher is None else await launcher.find(f"{row.key}-{row.attempt}")
    return seen is not None and not seen.phase.final


async def remove(here: WorkersSession, grace_s: float, deeds: Deeds) -> None:
    """Stop and delete what runs for no live job, past its grace; all is told in ``deeds``.

    A launcher names only what was started for this database. A job's row is there before its first
    process, so one without a row is nobody's.
    """
    for backend, launcher in _reachable(here):
        try:
            await _of_backend(here, backend, launcher, grace_s, deeds)
        except MLTemporalError as error:  # the other backends are looked at all the same
            deeds.failed.append(f"what runs on {backend!r} cannot be looked for: {error.what}")


async def stop_ended(here: WorkersSession, grace_s: float, deeds: Deeds) -> None:
    """Stop and delete what runs for a job that has ended, past the grace; its last words are recorded.

    Whose job this database does not know, and what was kept for a start, is left to `remove`.

    Idempotency: several may do it at once.
    """
    for backend, launcher in _reachable(here):
        try:
            names = await launcher.names()  # before the rows: what a retry starts meanwhile is not among them
        except MLTemporalError as error:
            deeds.failed.append(f"what runs on {backend!r} cannot be looked for: {error.what}")
            continue
        found = await _with_rows(here, names)
        await asyncio.gather(
            *(_end(here, backend, name, row, deeds) for name, row in found if row and _ended(row, grace_s))
        )


def _reachable(here: WorkersSession) -> list[tuple[str, Launcher]]:
    """Return the backends that can be looked at from here."""
    cluster = doctor_cluster.is_configured(here.settings)
    return [each for each in here.launchers.items() if cluster or each[0] != "kubernetes"]


async def _of_backend(
    here: WorkersSession, backend: str, launcher: Launcher, grace_s: float, deeds: Deeds
) -> None:
    for name, row in await _with_rows(here, await launcher.names()):
        if row is None or _ended(row, grace_s):
            await _end(here, backend, name, row, deeds)
    for key, since in (await launcher.kept()).items():
        row = await asyncio.to_thread(here.database.leftovers.of_key, key)
        kept_s = time.time() - since  # a job that is just being started again has kept it a moment ago
        if kept_s > CONTEXT_S if row is None else kept_s >= grace_s and _ended(row, grace_s):
            await launcher.forget(key)
            deeds.done.append(f"removed the environment {key!r} that was kept for {_whose(row)}")


async def _with_rows(here: WorkersSession, names: Sequence[str]) -> list[tuple[str, JobRow | None]]:
    """Return each process with its job, None where this database has none; one query for all."""
    keys = {name: name.rpartition("-")[0] for name in names}
    rows = await asyncio.to_thread(here.database.leftovers.of_keys, set(keys.values()))
    return [(name, rows.get(key)) for name, key in keys.items()]


def _ended(row: JobRow, grace_s: float) -> bool:
    return row.status.final and time.time() - (row.finished_at or 0.0) > grace_s


async def _end(here: WorkersSession, backend: str, name: str, row: JobRow | None, deeds: Deeds) -> None:
    launcher, called = here.launchers[backend], _called(backend, name, row)
    try:
        seen = await launcher.find(name)
        if seen is None:
            return
        grace_s = _UNKNOWN_GRACE_S if row is None else row.spec.grace_s
        await asyncio.gather(_last_words(launcher, name, row, here.database), launcher.stop(name, grace_s))
        await launcher.delete(name)
    except MLTemporalError as error:
        deeds.failed.append(f"{called} could not be ended: {error.what}")
        return
    deeds.done.append(f"{'removed' if seen.phase.final else 'stopped and removed'} {called}")


async def _last_words(launcher: Launcher, name: str, row: JobRow | None, database: Database) -> None:
    """Record what the attempt says until it has ended, and that it has."""
    if row is None:
        return
    attempt = int(name.rpartition("-")[2])
    with suppress(NotFound):  # somebody else has removed it, or the record has no place for its words
        end = await record_output(database, launcher, row, attempt)
        reason = row.error or end.reason
        await asyncio.to_thread(database.jobs.end_attempt, row.id, attempt, phase=row.status, reason=reason)


def _called(backend: str, name: str, row: JobRow | None) -> str:
    what = "Kubernetes Job" if backend == "kubernetes" else "process"
    return f"the {what} {name!r} of {_whose(row)}"


def _whose(row: JobRow | None) -> str:
    return "an unknown job" if row is None else f"job {row.id}, which has ended"
