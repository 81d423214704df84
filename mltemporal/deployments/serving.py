"""What a worker does so that it is given work: it belongs to a version, and sees that one is current.

While no version is current, Temporal gives versioned workers nothing, and jobs wait for ever. So every
worker looks at that again and again, also after a server came back with an empty database.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltemporal.deployments import moving
from mltemporal.deployments.build import build_id
from mltemporal.deployments.calls import Deployment, deployment_name
from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.settings import Settings
from mltemporal.stack.deployed import deployed
from mltemporal.stack.home import StackFiles

if TYPE_CHECKING:
    from temporalio.worker import WorkerDeploymentConfig

    from mltemporal.monitoring.surroundings import WorkersSession

log = logging.getLogger("mltemporal.worker")

MOVE_WITHIN_S = 20.0
"""So long new work waits for the replay of what is open; what is left then is looked at beside the work."""
LOOK_EVERY_S = 5.0
"""The one worker of a laptop; where there are many, each looks more rarely: Temporal limits it in sum."""
LOOK_AMONG_MANY_S = 30.0


def deployment_config(settings: Settings, queue: str) -> WorkerDeploymentConfig:
    """Return to which version a worker of this code and this task queue belongs."""
    from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
    from temporalio.worker import WorkerDeploymentConfig

    pinned = settings.versioning == "pinned"
    # Not on the workflows' classes: a worker without a version, as in tests, could not run those.
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name(queue), build_id()),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED if pinned else VersioningBehavior.AUTO_UPGRADE,
    )


class Serving:
    """One worker's place in the deployment of a task queue.

    Args:
        here: the worker's parts.
        queue: the task queue that workers of several versions may share.
        takes_over: whether this build takes over from any other as soon as it is there, as on a laptop;
            otherwise it becomes current only where none is, and a person promotes it.
    """

    def __init__(self, here: WorkersSession, queue: str, *, takes_over: bool) -> None:
        self._here = here
        self._queue = queue
        self._takes_over = takes_over
        self._moving: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Before the worker asks for work: see to it that what it will be given fits its code."""
        deployment = Deployment(await self._here.client(), deployment_name(self._queue))
        routing = await deployment.routing()
        if routing.current == build_id():
            return
        if self._takes_over and not self._deployed_here(routing.current):
            await self._take_over(deployment, routing.current)
        elif not routing.current:
            await self._become_first(deployment, routing.token)

    async def keep(self) -> None:
        """While the worker works: see to it that a version is current, and has a worker."""
        deployment = Deployment(await self._here.client(), deployment_name(self._queue))
        dead = ""
        while True:
            pause_s = LOOK_EVERY_S if self._takes_over else LOOK_AMONG_MANY_S
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311  (not all at once)
            try:
                routing = await deployment.routing()
                if not routing.current:
                    await self._become_first(deployment, routing.token)
                elif routing.current == build_id() or await self._has_worker(routing.current):
                    dead = ""
                elif self._takes_over:
                    log.warning("build %s is current and has no worker any more", routing.current)
                    await self._take_over(deployment, routing.current)
                elif dead != routing.current:  # a person decides; told once
                    dead = routing.current
                    log.warning(
                        "build %s is current and has no worker: new jobs wait. Start one from its code, by "
                        "`mltemporal versions deploy`, or promote another build",
                        dead,
                    )
            except ServiceUnavailable as error:
                log.warning("%s", error)  # the next look tries again
            except Exception:  # one bad look must not be the last
                log.exception("a look at the versions failed; it is done again")

    async def end(self) -> None:
        """Stop looking at what is open."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait({self._moving})

    async def _take_over(self, deployment: Deployment, before: str) -> None:
        await self.end()
        self._moving = await moved_within(self._here, [self._queue])
        await deployment.set_current(build_id(), unseen=True)
        log.info("build %s took over from %s", build_id(), before or "workers without a version")

    def _deployed_here(self, build: str) -> bool:
        """Whether a person has deployed the build beside this one, and its worker lives."""
        return build in deployed(StackFiles(self._here.settings.home))

    async def _has_worker(self, build: str) -> bool:
        """Whether a worker of the build lives, here or anywhere: the one before this may still be ending."""
        if await asyncio.to_thread(self._deployed_here, build):
            return True
        alive = await asyncio.to_thread(self._here.database.workers.alive)
        return any(each.version == build and each.task_queue == self._queue for each in alive)

    async def _become_first(self, deployment: Deployment, token: bytes) -> None:
        """Become current where no version is, unless that would stop workflows of workers without one."""
        misfits = await moving.unfit(self._here, [self._queue])
        if misfits:
            shown = "; ".join(map(repr, misfits[:3]))
            log.warning(
                "build %s takes no work: %d open workflows do not replay on it (%s). "
                "`mltemporal versions promote` moves to it in spite of that",
                build_id(), len(misfits), shown,
            )  # fmt: skip
            return
        try:
            await deployment.set_current(build_id(), token=token, unseen=True)
            log.info("build %s is current: there was none", build_id())
        except ServiceUnavailable as error:
            log.info("another worker was quicker: %s", error.what)  # `keep` looks again


async def moved_within(here: WorkersSession, queues: Sequence[str]) -> asyncio.Task[None]:
    """Move over what is open; returns after 20 s at most, with the task that goes on if need be."""
    task = asyncio.create_task(_moved(here, queues))
    await asyncio.wait({task}, timeout=MOVE_WITHIN_S)
    return task


async def _moved(here: WorkersSession, queues: Sequence[str]) -> None:
    try:
        await moving.move_over(here, queues)
    except MLTemporalError as error:
        log.warning("what is open could not be looked at: %s", error)


async def moved_alone(here: WorkersSession, queue: str) -> asyncio.Task[None] | None:
    """Move over what is open in a task queue that only this home's one worker serves, without versions.

    Temporal holds no more than a hundred deployments a namespace: too few for every laptop of a team.
    So the home itself notes which build served the queue last.
    """
    note = StackFiles(here.settings.home).served
    if _read(note) == (text := f"{queue} {build_id()}"):
        return None
    task = await moved_within(here, [queue])
    await asyncio.to_thread(note.write_text, text)
    return task


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the first time
