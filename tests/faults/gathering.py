"""From the home of a run, at its end, to the record that the invariants are checked on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

import mltemporal
from mltemporal import background, session
from mltemporal.database.tables import events
from mltemporal.database.tables import points as recorded
from mltemporal.errors import MLTemporalError, NotFound
from mltemporal.launchers import launcher_of
from mltemporal.monitoring import processes
from mltemporal.monitoring.mending import Mender
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.rewinding import holding, rewinds_of
from mltemporal.storage.leftovers import sweep

from .commanding import asked_in
from .record import Happened, Launched, Record, Told
from .tasks import ROWS
from .workload import COUNTING, WITH_ROWS, Work
from .world import World


def gathered(world: World, plan: list[Work], undisturbed: list[Work]) -> Record:
    """Look at every job through the public handles, the database and Temporal; the stack still runs."""
    here = session.current()
    record = Record(plan=plan, rows=ROWS)
    places = _places()
    for work in [*plan, *undisturbed]:
        record.launched[work.name] = [
            _looked_at(job, work, places) for job in mltemporal.jobs(name=work.name, limit=100)
        ]
    for work in undisturbed:
        for job in record.launched.pop(work.name):
            record.undisturbed[work.kind, work.seed] = job.value
    for path in (world.folder / "told").glob("*.json"):
        record.told[path.stem] = Told(**json.loads(path.read_text()))
    for path in (world.folder / "asked").glob("*.jsonl"):
        record.asked[path.stem] = asked_in(path)
    overlaps = world.folder / "witness" / "overlaps"
    record.overlaps = overlaps.read_text().splitlines() if overlaps.exists() else []
    record.surprises = [
        f"{told['work']}: {told['text'][-700:]}" for told in _lines(world.folder / "surprises")
    ] + world.kernels.deaths
    record.open_workflows = background.run(_open_workflows(here))
    return record


def mended(world: World) -> list[str]:
    """Do once what the monitor does every minute, as if all were old; returns what it did."""
    here = session.current()

    async def mend() -> list[str]:
        launchers = {
            backend: launcher_of(backend, world.settings, here.database.id) for backend in world.backends
        }
        client = await here.client()
        parts = WorkersSession(world.settings, client, here.database, launchers)
        deeds = await Mender(parts, here.storage, grace_s=0.0).mend()
        for launcher in launchers.values():
            await launcher.close()
        return [*deeds.done, *(f"FAILED: {each}" for each in deeds.failed)]

    with patch.object(processes, "CONTEXT_S", 0.0):
        did = background.run(mend())
    return did + [f"removed {name}" for name in sweep(world.settings.storage_url, older_than_s=0.0)]


def _looked_at(job: Any, work: Work, places: dict[int, tuple[int, int]]) -> Launched:
    here = session.current()
    row = here.database.jobs.get(job.id)
    submitted, finished = places.get(job.id, (0, 0))
    points = [point for _, point in here.database.progress.points(job.id)]
    facts = _curve(job) if work.kind in COUNTING else {}
    if row.status == "succeeded":
        facts |= _made(job, work)
    return Launched(
        id=job.id,
        status=str(row.status),
        workflow=background.run(_workflow(here, row.workflow_id)),
        submitted=submitted,
        finished=finished,
        error=row.error,
        attempts=row.attempt,
        points=tuple((point.attempt, point.step) for point in points if "half" in point.metrics),
        recalled=_recalled(job.id),
        story=tuple(
            Happened(kind=event.kind, message=event.message, attempt=event.attempt)
            for event in here.database.jobs.events(job.id)
            if event.kind in ("command", "finished")
        ),
        results=sum(
            here.storage.get_note(row.key, f"{number}/output", dict) is not None
            for number in range(1, row.attempt + 1)
        ),
        **facts,
    )


def _recalled(job_id: int) -> int:
    of_job = (recorded.c.job_id == job_id, recorded.c.position < 0)
    with session.current().database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(recorded).where(*of_job)) or 0


def _curve(job: Any) -> dict[str, Any]:
    """What a person sees of its curve, and how far it came: `track` reports without the code's metrics."""
    frame = job.metrics().dropna(subset="step")
    coded = frame.dropna(subset="half") if "half" in frame else frame.iloc[:0]
    database = job._session.database
    points = [point for _, point in database.progress.points(job.id)]
    steps = [p.step for p in holding(points, rewinds_of(database.jobs.events(job.id))) if p.step is not None]
    return {
        "curve": tuple(map(int, coded["step"])),
        "turns": tuple(map(int, coded.get("turn", ()))),
        "last": steps[-1] if steps else 0,
    }


def _made(job: Any, work: Work) -> dict[str, Any]:
    """What a successful job has left, or what is wrong with it."""
    try:
        result = job.result(10)
        if work.kind == "script":
            return {"value": int(result.artifacts["value.txt"].read_bytes())}
        if work.kind in COUNTING:
            return {"value": result.value}
        if work.kind == "inference":
            frame = result.frame()
            right = bool((frame["prediction"] == 3.0 * frame["id"]).all())
            return {"rows": tuple(frame["id"]), "rows_right": right}
        if work.kind in WITH_ROWS:
            frame = result.dataset.frame()
            right = bool((frame["twice"] == 2 * frame["x"]).all())
            return {"rows": tuple(frame["id"]), "rows_right": right}
        return {"value": result.metrics, "model": "whole" if result.model is not None else ""}
    except (MLTemporalError, NotFound, KeyError, ValueError) as error:
        return {"value": f"{type(error).__name__}: {error}", "model": f"{error}"}


def _places() -> dict[int, tuple[int, int]]:
    """Return by job the ids of the events of its first day and its end: ids know an order, clocks do not."""
    submitted = sa.func.min(events.c.id)
    finished = sa.func.max(sa.case((events.c.kind == "finished", events.c.id), else_=0))
    with session.current().database.reading() as connection:
        rows = connection.execute(sa.select(events.c.job_id, submitted, finished).group_by(events.c.job_id))
        return {job_id: (first, last) for job_id, first, last in rows}


async def _workflow(here: session.Session, workflow_id: str) -> str:
    from temporalio.service import RPCError

    client = await here.client()
    try:
        described = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        return f"unknown ({error.message})"
    return described.status.name if described.status is not None else "unknown"


async def _open_workflows(here: session.Session) -> list[str]:
    client = await here.client()
    for _ in range(50):  # Temporal's list is a little late
        found = [each.id async for each in client.list_workflows("ExecutionStatus = 'Running'")]
        if not found:
            break
        await asyncio.sleep(0.1)
    return found


def _lines(path: Path) -> Iterator[dict[str, str]]:
    return (json.loads(line) for line in path.read_text().splitlines())
