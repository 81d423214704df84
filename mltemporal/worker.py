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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from mltemporal.database import Database, WorkerInfo
from mltemporal.database.workers import SEEN_EVERY_S
from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.launchers import launcher_of
from mltemporal.launchers.base import Launcher
from mltemporal.monitoring.checks import looker
from mltemporal.monitoring.mending import Mender
from mltemporal.monitoring.schedule import monitor_id
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.settings import BACKENDS, Settings, process_settings
from mltemporal.stack import connect, search_attributes
from mltemporal.stack.overview import task_queue
from mltemporal.storage import Storage
from mltemporal.version import __version__
from mltemporal.workflows.activities.database import DatabaseActivities
from mltemporal.workflows.activities.kubernetes import JobActivities
from mltemporal.workflows.activities.monitoring import MonitoringActivities
from mltemporal.workflows.activities.notifying import NotificationActivities
from mltemporal.workflows.activities.storage import StorageActivities
from mltemporal.workflows.inference import InferenceWorkflow
from mltemporal.workflows.monitoring import MonitoringWorkflow
from mltemporal.workflows.notifying import NotificationWorkflow
from mltemporal.workflows.preprocessing import PreprocessingWorkflow
from mltemporal.workflows.training import TrainingWorkflow

log = logging.getLogger("mltemporal.worker")


def build_worker(client: Client, database: Database, settings: Settings) -> Worker:
    """Return a worker of this home's jobs over these parts, not started yet."""
    launchers = _launchers(settings, database)
    return _worker(client, database, settings, launchers, task_queue(settings, database, "local"))


def _launchers(settings: Settings, database: Database) -> dict[str, Launcher]:
    return {backend: launcher_of(backend, settings, database.id) for backend in BACKENDS}


def _worker(
    client: Client, database: Database, settings: Settings, launchers: dict[str, Launcher], queue: str
) -> Worker:
    storage = Storage(settings.storage_url)
    jobs = JobActivities(database, storage, launchers, notify=settings.notifies)
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
        workflows=[
            TrainingWorkflow,
            PreprocessingWorkflow,
            InferenceWorkflow,
            MonitoringWorkflow,
            NotificationWorkflow,
        ],
        # Workflow code uses only plain dataclasses of ours: nothing to load anew for each workflow.
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("mltemporal", "msgspec")
        ),
        activities=[
            StorageActivities(database, storage).validate_dataset,
            jobs.create_training_job,
            jobs.monitor_training,
            jobs.command_training_job,
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


async def run_worker(settings: Settings, *, home_only: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT; prepares the database first.

    With ``home_only`` it takes this home's local jobs only, where others share Temporal and the
    database: a laptop that is closed must not hold up the team's jobs.
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
    launchers = _launchers(settings, database)
    backends = ("local",) if home_only else BACKENDS
    queues = sorted({task_queue(settings, database, backend) for backend in backends})
    async with AsyncExitStack() as running:
        for queue in queues:
            await running.enter_async_context(_worker(client, database, settings, launchers, queue))
        log.info("worker of %s on %r, process %d", ", ".join(queues), database, os.getpid())
        await _say_so(database, queues, stop)
    for launcher in launchers.values():
        await launcher.close()
    database.close()


async def _say_so(database: Database, queues: Sequence[str], stop: asyncio.Event) -> None:
    """Record every few seconds that this worker is alive, until it is told to stop."""
    infos = [
        WorkerInfo(
            id=uuid.uuid4().hex,
            host=platform.node(),
            pid=os.getpid(),
            version=__version__,
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
    parser.add_argument("--home-only", action="store_true", help="take this home's local jobs only")
    home_only: bool = parser.parse_args(argv).home_only
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("temporalio").setLevel(logging.WARNING)
    try:
        asyncio.run(run_worker(process_settings(), home_only=home_only))
    except MLTemporalError as error:
        print(error, file=sys.stderr)  # noqa: T201  (this is a program)
        return 1
    finally:
        # A client that lives until the interpreter's end may crash it (temporalio/sdk-python#300).
        gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
