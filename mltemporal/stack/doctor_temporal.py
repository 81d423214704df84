"""What the doctor looks at in Temporal: the server, the workers, the search attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltemporal.errors import MLTemporalError, StackError
from mltemporal.settings import BACKENDS, Settings
from mltemporal.stack.asking import within
from mltemporal.stack.connection import connect
from mltemporal.stack.home import StackFiles
from mltemporal.stack.overview import task_queue

if TYPE_CHECKING:
    from temporalio.client import Client

    from mltemporal.deployments.board import VersionBoard


def temporal(settings: Settings) -> str:
    """The server, and where it is."""

    async def ask() -> str:
        from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

        client = await connect(settings)
        information = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        return f"server {information.server_version} answers at {client.service_client.config.target_host}"

    return within(ask)


def worker(settings: Settings) -> str:
    """Who polls each backend's task queue; that of the settings' own backend needs somebody."""
    queue_of = queues(settings)

    async def ask() -> dict[str, list[str]]:
        client = await connect(settings)
        return {queue: await _pollers(client, queue) for queue in dict.fromkeys(queue_of.values())}

    pollers = within(ask)
    told = []
    for queue, found in pollers.items():
        backends = " and ".join(backend for backend in BACKENDS if queue_of[backend] == queue)
        told.append(f"{', '.join(found) or 'none'} for {backends} jobs on the task queue {queue!r}")
    if not pollers[queue_of[settings.backend]]:
        shared = settings.temporal_configured and settings.backend != "local"
        raise StackError(
            "; ".join(told),
            "start one where the cluster can be reached: `kubectl apply -k deploy/`, or `mltemporal worker`"
            if shared
            else f"look into {str(StackFiles(settings.home).log('worker'))!r}, or run `mltemporal up`",
        )
    return "; ".join(told)


def versions(settings: Settings) -> str:
    """Whether the build that gets new jobs has a worker."""

    async def ask() -> VersionBoard:
        from mltemporal.deployments.board import board
        from mltemporal.deployments.rollout import opened

        async with opened(settings) as rollout:
            return await board(rollout)

    from mltemporal.deployments.board import TO_MEND

    try:
        found = within(ask)
    except MLTemporalError as error:
        return f"not looked at: {error.what.partition(': ')[0]}"  # another part says it in full
    if found.trouble:
        raise StackError(found.trouble, TO_MEND)
    taking = [row.version.build for row in found.rows if row.version.state == "current"]
    return f"build {taking[0]} is current" if taking else "none is current: workers without a version get all"


def queues(settings: Settings) -> dict[str, str]:
    """Return the task queue of each backend.

    Raises:
        ServiceUnavailable: the database, whose id is part of their names, does not answer.
    """
    from mltemporal.database.engine import Database

    database = Database.open(settings.database_url)
    try:
        return {backend: task_queue(settings, database, backend) for backend in BACKENDS}
    finally:
        database.close()


def search_attributes(settings: Settings) -> str:
    """Whether Temporal knows what jobs are found by; registers them where it may."""
    from mltemporal.stack.search_attributes import NAMES, register

    async def ask() -> str:
        return await register(await connect(settings))

    try:
        why_not = within(ask)
    except StackError as error:
        return f"not looked at: {error.what.partition(': ')[0]}"  # another part says it in full
    names = ", ".join(f"{name} ({type_})" for name, type_ in NAMES.items())
    if why_not:
        return f"done without; who may can register {names}: {why_not}"
    return names


async def _pollers(client: Client, queue: str) -> list[str]:
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return sorted({poller.identity for poller in described.pollers})
