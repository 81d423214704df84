"""The worker: the only place that joins workflows, activities, launchers, storage and database.

``python -m mltemporal.worker`` runs one in the foreground until SIGTERM or Ctrl-C. The trainings
that it follows are not its children: they go on without it, and the next worker follows them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from mltemporal.database.engine import Database
from mltemporal.database.workers import SEEN_EVERY_S, WorkerInfo
from mltemporal.deployments.build import build_id
from mltemporal.deployments.serving import Serving, deployment_config, moved_alone
from mltemporal.deployments.workflow_code import WORKFLOWS, workflow_runner
from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.launchers import launcher_of
from mltemporal.launchers.base import Launcher
from mltemporal.monitoring.checks import looker
from mltemporal.monitoring.mending import Mender
from mltemporal.monitoring.schedule import monitor_id
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.monitoring.tending import tend
from mltemporal.settings import BACKENDS, Settings, process_settings
from mltemporal.stack import connect, search_attributes
from mltemporal.stack.overview import task_queue
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.commanding import CommandActivities
from mltemporal.workflows.activities.database import DatabaseActivities
from mltemporal.workflows.activities.kubernetes import JobActivities
from mltemporal.workflows.activities.monitoring import MonitoringActivities
from mltemporal.workflows.activities.notifying import NotificationActivities
from mltemporal.workflows.activities.storage import StorageActivities

log = logging.getLogger("mltemporal.worker")


@asynccontextmanager
async def running_worker(client: Client, database: Database, settings: Settings) -> AsyncIterator[Worker]:
    """Run a worker of this home's jobs over these parts for the length of the block.

    It belongs to no version: nothing has to be current before it is given work.
    """
    queue = task_queue(settings, database, "local")
    async with (
        _launchers(settings, database) as launchers,
        _worker(client, database, settings, launchers, queue) as worker,
    ):
        yield worker


@asynccontextmanager
async def _launchers(settings: Settings, database: Database) -> AsyncIterator[dict[str, Launcher]]:
    """Give a launcher for each backend; what they hold open ends with the block, processes go on."""
    launchers = {backend: launcher_of(backend, settings, database.id) for backend in BACKENDS}
    try:
        yield launchers
    finally:
        for launcher in launchers.values():
            await launcher.close()


def _worker(
    client: Client,
    database: Database,
    settings: Settings,
    launchers: Mapping[str, Launcher],
    queue: str,
    *,
    versioned: bool = False,
) -> Worker:
    storage = Storage(settings.storage_url)
    jobs = JobActivities(database, storage, launchers, notify=settings.notifies)
    commands = CommandActivities(database, storage, launchers)
    made = DatabaseActivities(database, storage)
    watch = MonitoringActivities(
        database,
        monitor=monitor_id(settings, database, queue),
        look=looker(settings).look,
        mend=Mender(WorkersSession(settings, client, database, launchers), storage).mend,
        notify=settings.notifies,
    )
    notices = NotificationActivities(
        database, webhook=settings.notify_webhook, command=settings.notify_command
    )
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        deployment_config=deployment_config(settings, queue) if versioned else None,
        activities=[
            StorageActivities(database, storage).validate_dataset,
            jobs.create_training_job,
            jobs.monitor_training,
            commands.command_training_job,
            jobs.cleanup_resources,
            made.register_datasets,
            made.register_predictions,
            watch.check_health,
            watch.mend,
            notices.deliver_notice,
        ],
        # Following a training takes a slot for its whole length, but next to no work.
        max_concurrent_activities=2_000,
        # Otherwise the SDK holds heartbeats back, and with them progress and cancellation.
        max_heartbeat_throttle_interval=timedelta(seconds=0.5),
        default_heartbeat_throttle_interval=timedelta(seconds=0.5),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(0),
    )


async def run_worker(settings: Settings, *, home_only: bool = False, shared_only: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT; prepares the database first.

    Args:
        settings: where everything is.
        home_only: take this home's local jobs only, where others share Temporal and the database: a
            laptop that is closed must not hold up the team's jobs.
        shared_only: take the jobs only that every worker of the database may take; so a pod, whose home
            ends with it, has no task queue of its own.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=32))
    await asyncio.to_thread(Database.prepare, settings.database_url)
    database = await asyncio.to_thread(Database.open, settings.database_url, connections=16)
    client = await connect(settings)
    if why_not := await search_attributes.register(client):
        log.info("jobs start without search attributes: %s", why_not)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _launchers(settings, database) as launchers:
        here = WorkersSession(settings, client, database, launchers)
        await _work(here, stop, home_only=home_only, shared_only=shared_only)
    database.close()


async def _work(here: WorkersSession, stop: asyncio.Event, *, home_only: bool, shared_only: bool) -> None:
    """Serve the task queues until told to stop."""
    settings, database, client = here.settings, here.database, await here.client()
    shared, own = task_queue(settings, database, "kubernetes"), task_queue(settings, database, "local")
    queues = sorted({own} if home_only else {shared} if shared_only else {own, shared})
    serving = Serving(here, shared, takes_over=home_only and settings.versioning != "pinned")
    moving = None
    if shared in queues:
        await serving.begin()
    if own in queues and own != shared:
        moving = await moved_alone(here, own)
    async with AsyncExitStack() as running:
        for queue in queues:
            worker = _worker(client, database, settings, here.launchers, queue, versioned=queue == shared)
            await running.enter_async_context(worker)
        log.info(
            "worker of %s on %r, build %s, process %d", ", ".join(queues), database, build_id(), os.getpid()
        )
        keeping = asyncio.create_task(serving.keep()) if shared in queues else None
        tending = asyncio.create_task(tend(here, Storage(settings.storage_url)))
        await _say_so(database, queues, stop)
        for task in (keeping, moving, tending):
            if task is not None:
                task.cancel()
        await serving.end()


async def _say_so(database: Database, queues: Sequence[str], stop: asyncio.Event) -> None:
    """Record every few seconds that this worker is alive, until it is told to stop."""
    infos = [
        WorkerInfo(
            id=uuid.uuid4().hex,
            host=platform.node(),
            pid=os.getpid(),
            version=build_id(),
            python=sys.executable,
            task_queue=queue,
            started_at=time.time(),
            seen_at=time.time(),
        )
        for queue in queues
    ]
    while not stop.is_set():
        try:
            for info in infos:
                await asyncio.to_thread(database.workers.seen, info)
        except ServiceUnavailable as error:
            log.warning("%s", error)  # the next beat tries again
        try:
            await asyncio.wait_for(stop.wait(), SEEN_EVERY_S)
        except TimeoutError:
            continue
    for info in infos:
        await asyncio.to_thread(database.workers.gone, info.id)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker in the foreground; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mltemporal.worker", description="Run a worker.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--home-only", action="store_true", help="take this home's local jobs only")
    which.add_argument("--shared-only", action="store_true", help="take only what any worker may take")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("temporalio").setLevel(logging.WARNING)
    try:
        settings = process_settings()
        asyncio.run(run_worker(settings, home_only=arguments.home_only, shared_only=arguments.shared_only))
    except MLTemporalError as error:
        print(error, file=sys.stderr)  # noqa: T201  (this is a program)
        return 1
    finally:
        # A client that lives until the interpreter's end may crash it (temporalio/sdk-python#300).
        gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
