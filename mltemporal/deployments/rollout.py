"""What a person does with versions: see them, deploy, promote, roll back, retire. Each can be repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.deployments.build import build_id
from mltemporal.deployments.calls import Deployment, Routing, Version, deployment_name
from mltemporal.deployments.replaying import Replayed, recent, replay
from mltemporal.errors import InvalidRequest, NotFound, StackError
from mltemporal.settings import Settings
from mltemporal.stack import deployed
from mltemporal.stack.home import StackFiles
from mltemporal.stack.logs import tail

if TYPE_CHECKING:
    from temporalio.client import Client

    from mltemporal.database.engine import Database

Tell = Callable[[str], object]

RAMPS = (5, 50, 100)
REPLAYED = 200
"""How many of the newest histories a deployment must fit, unless told otherwise."""
_SEEN_WITHIN_S = 60.0
_SETTLED_S = 60.0
"""So long after its last task was routed to it, no workflow can still be on its way to a version."""
_FORGOTTEN_WITHIN_S = 45.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One version, as a person sees it."""

    version: Version
    workers: int
    """Processes that said in the database of late that they are alive."""
    here: bool
    """Whether it is the code at hand."""


class Rollout:
    """The versions of one database's workers; opened by a client, on the event loop that it belongs to."""

    def __init__(self, settings: Settings, client: Client, database: Database) -> None:
        from mltemporal.stack.overview import task_queue

        self._settings = settings
        self._client = client
        self._database = database
        self._queue = task_queue(settings, database, "kubernetes")
        self._deployment = Deployment(client, deployment_name(self._queue))

    async def rows(self) -> list[Row]:
        """Return every version that Temporal knows, the newest first.

        Raises:
            ServiceUnavailable: Temporal or the database does not answer; so for every method here.
        """
        alive = await asyncio.to_thread(self._database.workers.alive)
        return [
            Row(
                version=version,
                workers=sum(w.version == version.build and w.task_queue == self._queue for w in alive),
                here=version.build == build_id(),
            )
            for version in await self._deployment.versions()
        ]

    async def replayed(self, *, limit: int = REPLAYED, job: int | None = None) -> list[Replayed]:
        """Replay the newest histories, or those of one job's workflows, on the code at hand.

        Raises:
            NotFound: there is no such job.
        """
        workflow_id = None
        if job is not None:
            workflow_id = (await asyncio.to_thread(self._database.jobs.get, job)).workflow_id
        found = await recent(self._client, self._queues(), limit=limit, workflow_id=workflow_id)
        return [each async for each in replay(self._client, found, self._database)]

    async def check(self, limit: int = REPLAYED) -> int:
        """Replay the newest histories on the code at hand; returns how many there were.

        Raises:
            InvalidRequest: some do not fit; names the jobs and why.
        """
        results = await self.replayed(limit=limit)
        if misfits := [each for each in results if each.misfit]:
            raise _refusal(misfits, len(results))
        return len(results)

    async def deploy(self, tell: Tell, *, limit: int = REPLAYED) -> None:
        """Start a detached worker of the code at hand beside those of other builds; returns when it is seen.

        Raises:
            InvalidRequest: recent histories do not fit this code; nothing was started.
            StackError: the worker ended, or Temporal does not see it within a minute.
        """
        build = build_id()
        tell(f"{await self.check(limit)} recent workflows replay on build {build}")
        if any(row.here and row.workers for row in await self.rows()):
            tell(f"a worker of build {build} runs already")
            return
        process = await asyncio.to_thread(deployed.start, self._settings, build)
        log = StackFiles(self._settings.home).log(f"worker-{build}")
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while not await self._seen(build):
            if not process.alive:
                raise StackError(f"the worker of build {build} ended: {tail(log, 5)}", f"see {str(log)!r}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"Temporal did not see the worker of build {build} within {_SEEN_WITHIN_S:.0f} s",
                    f"look into {str(log)!r}",
                )
            await asyncio.sleep(0.1)
        routing = await self._deployment.routing()
        told = f"worker {process.pid} of build {build} runs"
        if routing.current == build:
            tell(f"{told} and takes all jobs: no version was current")
        else:
            tell(f"{told} beside {routing.current}; `mltemporal versions promote` sends it new jobs")

    async def promote(self, build: str | None, percentage: int, tell: Tell) -> None:
        """Send a share of the new jobs, or all, to a version, by default that of the code at hand.

        Raises:
            NotFound: Temporal knows no such version; lists those it knows.
            InvalidRequest: no worker of it is alive.
        """
        rows = await self.rows()
        row = self._row(rows, build or build_id())
        name, routing = row.version.build, await self._deployment.routing()
        if name == routing.current and not routing.ramping:
            tell(f"build {name} is current already")
            return
        if not row.workers:
            raise InvalidRequest(
                f"no worker of build {name} is alive: jobs would wait",
                "start one from that code: `mltemporal versions deploy`",
            )
        if name == routing.current:
            await self._end_ramp(routing, tell)
        elif percentage == 100:
            await self._deployment.set_current(name)
            tell(f"build {name} is current: it gets all new jobs{self._old(routing)}")
        elif routing.current:
            await self._deployment.set_ramping(name, percentage)
            tell(f"build {name} gets {percentage} % of the new jobs, {routing.current} the others")
        else:
            raise InvalidRequest(
                "no version is current that could get the other jobs", "promote it to all: `--ramp 100`"
            )

    async def rollback(self, tell: Tell) -> None:
        """End a ramp; where there is none, make the version that was current before current again.

        One that was never current is never gone back to: nobody promoted it.

        Raises:
            InvalidRequest: there is no older version whose workers are alive.
        """
        routing = await self._deployment.routing()
        if routing.ramping:
            await self._end_ramp(routing, tell)
            return
        rows = await self.rows()
        current = next((row.version for row in rows if row.version.build == routing.current), None)
        older = [
            row
            for row in rows
            if current
            and row.workers
            and row.version.became_current_at
            and row.version.created_at < current.created_at
        ]
        if not older:
            raise InvalidRequest(
                f"there is no version before {routing.current or 'the first one'} whose workers are alive",
                "start the old code's worker: `mltemporal versions deploy` from there; "
                "`mltemporal versions` lists what there is",
            )
        last = max(older, key=lambda row: row.version.became_current_at).version.build
        await self._deployment.set_current(last)
        tell(f"build {last} is current again{self._old(routing)}")

    async def retire(self, build: str, tell: Tell) -> None:
        """Stop the worker of a version that nothing runs on any more, and have Temporal forget it.

        Raises:
            NotFound: Temporal knows no such version; lists those it knows.
            InvalidRequest: something runs on it, or may be sent to it.
            StackError: workers that were not started from here still ask Temporal for its work.
        """
        row = self._row(await self.rows(), build)
        _check_unused(row.version)
        self._check_not_the_stacks(build)
        running = deployed.stop(StackFiles(self._settings.home), build)
        if running:
            tell(f"the worker of build {build} is stopped")
        deadline = time.monotonic() + _FORGOTTEN_WITHIN_S
        while why := await self._deployment.delete(build):
            if time.monotonic() > deadline or (row.workers and not running):
                raise StackError(
                    f"build {build} cannot be removed yet: {why}",
                    "stop its workers (in a cluster: delete its Deployment); Temporal takes up to 5 min to "
                    "notice, then run this again",
                )
            await asyncio.sleep(0.5)
        tell(f"build {build} is retired")

    async def _end_ramp(self, routing: Routing, tell: Tell) -> None:
        await self._deployment.set_ramping("", 0)
        tell(f"build {routing.ramping} gets no new jobs any more; {routing.current} gets all")

    async def _seen(self, build: str) -> bool:
        if build not in await self._deployment.polled(self._queue):
            return False
        return any(row.here and row.workers for row in await self.rows())

    def _queues(self) -> list[str]:
        from mltemporal.stack.overview import task_queue

        return sorted({self._queue, task_queue(self._settings, self._database, "local")})

    def _old(self, routing: Routing) -> str:
        if not routing.current:
            return ""
        pinned = self._settings.versioning == "pinned"
        does = "end there" if pinned else "move over with their next step"
        return f"; those that run on {routing.current} {does}"

    def _check_not_the_stacks(self, build: str) -> None:
        from mltemporal.stack.control import state

        running = state(self._settings)
        if running is not None and running.build == build and not self._settings.temporal_configured:
            raise InvalidRequest(
                f"build {build} is the one that the stack of {running.home!r} was started with",
                "run `mltemporal up` from the newer code: it takes over; then retire this one",
            )

    def _row(self, rows: list[Row], build: str) -> Row:
        found = [row for row in rows if row.version.build == build]
        if not found:
            known = ", ".join(row.version.build for row in rows) or "none"
            raise NotFound(
                f"Temporal knows no build {build!r} of {self._deployment.name!r}",
                f"there are: {known}; `mltemporal versions deploy` starts the code at hand",
            )
        return found[0]


def _check_unused(version: Version) -> None:
    if version.state in ("current", "ramping"):
        raise InvalidRequest(
            f"build {version.build} is {version.state}: it gets {version.percentage:g} % of the new jobs",
            "promote another one first: `mltemporal versions promote BUILD`",
        )
    if version.jobs:
        what = "1 workflow runs" if version.jobs == 1 else f"{version.jobs} workflows run"
        raise InvalidRequest(
            f"{what} on build {version.build}",
            "wait until they have ended (`mltemporal versions` shows how many are left), or cancel them",
        )
    if version.state == "draining" and time.time() - version.since < _SETTLED_S:
        raise InvalidRequest(
            f"build {version.build} got its last jobs {time.time() - version.since:.0f} s ago: "
            "some may be on their way to it",
            "wait until `mltemporal versions` shows it drained, a minute at most",
        )


def _refusal(misfits: list[Replayed], total: int) -> InvalidRequest:
    shown = "; ".join(repr(each) for each in misfits[:5]) + ("; …" if len(misfits) > 5 else "")
    return InvalidRequest(
        f"{len(misfits)} of {total} recent workflows do not replay on build {build_id()}: {shown}",
        "keep the old steps for old workflows: put what is new behind workflow.patched('…'); "
        "`mltemporal replay` checks it again",
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Rollout]:
    """Connect, and give the versions of the settings' database; the connections end with the block.

    Raises:
        StackError: no stack runs, or Temporal does not answer.
        ServiceUnavailable: the database does not answer.
    """
    from mltemporal.database.engine import Database
    from mltemporal.stack import connect

    database = await asyncio.to_thread(Database.open, settings.database_url)
    try:
        yield Rollout(settings, await connect(settings), database)
    finally:
        database.close()
