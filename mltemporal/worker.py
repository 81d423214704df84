"""The worker: the only place that joins workflows, activities, launchers, storage and database.

``python -m mltemporal.worker`` runs one in the foreground until SIGTERM or Ctrl-C. The trainings
that it follows are not its children: they go on without it, and the next worker follows them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
import signal
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from mltemporal.database import Database, WorkerInfo
from mltemporal.database.workers import SEEN_EVERY_S
from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.launchers.local import LocalLauncher
from mltemporal.settings import Settings, load_settings
from mltemporal.stack import connect
from mltemporal.stack.overview import task_queue
from mltemporal.storage import Storage
from mltemporal.version import __version__
from mltemporal.workflows.activities.kubernetes import JobActivities
from mltemporal.workflows.activities.storage import StorageActivities
from mltemporal.workflows.training import TrainingWorkflow

log = logging.getLogger("mltemporal.worker")


def build_worker(client: Client, database: Database, settings: Settings) -> Worker:
    """Return a worker over these parts, not started yet."""
    storage = Storage(settings.storage_url)
    launchers = {"local": LocalLauncher.of(settings)}
    jobs = JobActivities(database, storage, launchers)
    return Worker(
        client,
        task_queue=task_queue(settings, database),
        workflows=[TrainingWorkflow],
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
        ],
        # Following a training takes a slot for its whole length, but next to no work.
        max_concurrent_activities=2_000,
        # Otherwise the SDK holds heartbeats back, and with them progress and cancellation.
        max_heartbeat_throttle_interval=timedelta(seconds=0.5),
        default_heartbeat_throttle_interval=timedelta(seconds=0.5),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(0),
    )


async def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT; prepares the database first."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=32))
    await asyncio.to_thread(Database.prepare, settings.database_url)
    database = await asyncio.to_thread(Database.open, settings.database_url)
    client = await connect(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = build_worker(client, database, settings)
    async with worker:
        log.info("worker of %r on %r, process %d", worker.task_queue, database, os.getpid())
        await _say_so(database, worker.task_queue, stop)
    database.close()


async def _say_so(database: Database, queue: str, stop: asyncio.Event) -> None:
    """Record every few seconds that this worker is alive, until it is told to stop."""
    info = WorkerInfo(
        id=uuid.uuid4().hex,
        host=platform.node(),
        pid=os.getpid(),
        version=__version__,
        python=sys.executable,
        task_queue=queue,
        started_at=time.time(),
        seen_at=time.time(),
    )
    while not stop.is_set():
        try:
            await asyncio.to_thread(database.workers.seen, info)
        except ServiceUnavailable as error:
            log.warning("%s", error)  # the next beat tries again
        try:
            await asyncio.wait_for(stop.wait(), SEEN_EVERY_S)
        except TimeoutError:
            continue
    await asyncio.to_thread(database.workers.gone, info.id)


def main() -> int:
    """Run a worker in the foreground; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("temporalio").setLevel(logging.WARNING)
    try:
        asyncio.run(run_worker(load_settings()))
    except MLTemporalError as error:
        print(error, file=sys.stderr)  # noqa: T201  (this is a program)
        return 1
    finally:
        # A client that lives until the interpreter's end may crash it (temporalio/sdk-python#300).
        gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
