"""Looks at each part that a job needs, and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from mltemporal.errors import MLTemporalError, StackError
from mltemporal.settings import Settings
from mltemporal.stack.connection import connect
from mltemporal.stack.control import state
from mltemporal.stack.home import StackFiles, prepare_home
from mltemporal.stack.overview import masked_url, task_queue
from mltemporal.stack.record import check_version
from mltemporal.stack.server import find_binary, server_version

_NOTEBOOK_PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "matplotlib", "nbclient")
_ANSWER_S = 10.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found about one part."""

    part: str
    ok: bool
    detail: str
    next_step: str = ""
    """What to do about it; empty where nothing is wrong."""

    def __str__(self) -> str:
        line = f"{'ok     ' if self.ok else 'problem'}  {self.part}: {self.detail}"
        return f"{line}\n         Next step: {self.next_step}" if self.next_step else line


def run(settings: Settings) -> list[Check]:
    """Check every part, each in at most some seconds; starts nothing, raises nothing.

    Creates the home and, in storage, an object that it removes again.
    """
    return [_check(part, look, settings) for part, look in _PARTS.items()]


def _check(part: str, look: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(part=part, ok=True, detail=look(settings))
    except MLTemporalError as error:
        return Check(part=part, ok=False, detail=error.what, next_step=error.next_step)
    except Exception as error:  # a part that fails in a new way is exactly what is looked for
        return Check(
            part=part, ok=False, detail=f"{type(error).__name__}: {error}", next_step="report this as a bug"
        )


def _python(_settings: Settings) -> str:
    found = f"{platform.python_version()} at {sys.executable} on {platform.system()} {platform.machine()}"
    if os.name != "posix":
        raise StackError(f"{found} is not supported", "use Linux or macOS; on Windows, WSL")
    return found


def _home(settings: Settings) -> str:
    prepare_home(settings.home)
    free_gib = shutil.disk_usage(settings.home).free / 1024**3
    return f"{settings.home}, {free_gib:.1f} GiB free"


def _server(settings: Settings) -> str:
    if settings.temporal_configured:
        return "not needed, a Temporal is configured"
    binary = find_binary()
    return f"{server_version(binary)} at {binary}"


def _stack(settings: Settings) -> str:
    running = state(settings)
    if running is None:
        if settings.temporal_configured:
            return "not running, and not needed where workers of a configured Temporal run elsewhere"
        raise StackError("not running", "run `mltemporal up`, or `%load_ext mltemporal` in a notebook")
    check_version(running)
    for name, service in running.services.items():
        if service.state != "running":
            raise StackError(
                f"its {name} is {service.state}" + (f": it {service.trouble}" if service.trouble else ""),
                f"look into {str(StackFiles(settings.home).log(name))!r}",
            )
    names = " and ".join(running.services)
    return f"version {running.version} runs {names} (supervisor {running.supervisor.pid})"


def _temporal(settings: Settings) -> str:
    async def ask() -> str:
        from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

        client = await connect(settings)
        information = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        return f"server {information.server_version} answers at {client.service_client.config.target_host}"

    return _within(ask)


def _worker(settings: Settings) -> str:
    from mltemporal.database import Database

    database = Database.open(settings.database_url)
    try:
        queue = task_queue(settings, database)
    finally:
        database.close()

    async def ask() -> list[str]:
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

        client = await connect(settings)
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        return [poller.identity for poller in described.pollers]

    pollers = _within(ask)
    if not pollers:
        raise StackError(
            f"none polls the task queue {queue!r}",
            f"look into {str(StackFiles(settings.home).log('worker'))!r}, or run `mltemporal worker`",
        )
    return f"{', '.join(pollers)} on the task queue {queue!r}"


def _database(settings: Settings) -> str:
    from mltemporal.database import Database

    database = Database.open(settings.database_url)
    try:
        return f"{masked_url(settings.database_url)} at schema {database.revision()}"
    finally:
        database.close()


def _storage(settings: Settings) -> str:
    from mltemporal.storage import Storage

    Storage(settings.storage_url).check()
    return f"{settings.storage_url} writes, reads and removes"


def _notebook(_settings: Settings) -> str:
    found = []
    for package in _NOTEBOOK_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError as error:
            raise StackError(f"{package!r} is not installed", f"run `pip install {package}`") from error
    return ", ".join(found)


def _within(ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run ``ask`` in a thread and an event loop of its own: a notebook's cell already runs in one."""

    async def limited() -> Answer:
        try:
            return await asyncio.wait_for(ask(), _ANSWER_S)
        except TimeoutError:
            raise StackError(f"no answer within {_ANSWER_S:.0f} s", "run `mltemporal status`") from None

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(limited())).result()


_PARTS: dict[str, Callable[[Settings], str]] = {
    "Python": _python,
    "home": _home,
    "Temporal program": _server,
    "stack": _stack,
    "database": _database,
    "storage": _storage,
    "Temporal": _temporal,
    "worker": _worker,
    "notebook packages": _notebook,
}
