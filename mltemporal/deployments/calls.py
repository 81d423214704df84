"""Temporal's Worker Deployment of one database: what is asked of it, and nothing else.

Temporal has no client of a higher level for it: these are the calls of ``temporal worker deployment``.
A deployment or version that Temporal does not know is empty here, not an error.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mltemporal.errors import ServiceUnavailable

if TYPE_CHECKING:
    from temporalio.client import Client

_ANSWER = timedelta(seconds=60)
"""Temporal changes a deployment by workflows of its own, which on a machine under load take their time.

It limits how often one may be asked, too; the SDK's retries wait that out. Every call here can be made again.
"""

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One build of the workflow code, as Temporal sees it."""

    build: str
    state: str
    """``current``, ``ramping``, ``draining``, ``drained`` or ``waiting`` (it never had anything to do)."""
    percentage: float = 0.0
    """How much of what is new it gets; 100 for the current one where none is ramping."""
    created_at: float = 0.0
    """When its first worker was seen, seconds since the epoch."""
    since: float = 0.0
    """Since when it is in this state."""
    became_current_at: float = 0.0
    """When it last became the current one; 0: never."""
    jobs: int = 0
    """Workflows that run on it."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Where new work goes."""

    current: str = ""
    """Empty while no version is current: then workers that are not versioned get everything."""
    ramping: str = ""
    percentage: float = 0.0
    token: bytes = b""
    """Changes with every change, so that two do not overwrite each other's."""


class Deployment:
    """The deployment of one task queue's workers."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    async def routing(self) -> Routing:
        """Return where new work goes.

        Raises:
            ServiceUnavailable: Temporal does not answer; so for every method here.
        """
        info, token = await self._describe()
        if info is None:
            return Routing()
        found = info.routing_config
        return Routing(
            current=found.current_deployment_version.build_id,
            ramping=found.ramping_deployment_version.build_id,
            percentage=found.ramping_version_percentage,
            token=token,
        )

    async def versions(self) -> list[Version]:
        """Return every version that Temporal knows, the newest first."""
        info, _ = await self._describe()
        if info is None:
            return []
        ramp = info.routing_config.ramping_version_percentage
        found = [
            _version(each, ramp, await self.running(each.deployment_version.build_id))
            for each in info.version_summaries
        ]
        return sorted(found, key=lambda version: -version.created_at)

    async def running(self, build: str) -> int:
        """Return how many workflows run on a version; Temporal's list is some milliseconds late."""
        query = f"TemporalWorkerDeploymentVersion = '{self.name}:{build}' AND ExecutionStatus = 'Running'"

        async def ask() -> int:
            return (await self._client.count_workflows(query, rpc_timeout=_ANSWER)).count

        return await _translated(ask)

    async def set_current(self, build: str, *, token: bytes = b"", unseen: bool = False) -> None:
        """Send all that is new to a version. Idempotent.

        Args:
            build: the version's.
            token: of the routing that this is to follow; another change in between is an error.
            unseen: whether it may be one whose workers Temporal has not seen yet.
        """
        from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest

        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._client.namespace,
            deployment_name=self.name,
            build_id=build,
            conflict_token=token,
            ignore_missing_task_queues=True,
            allow_no_pollers=unseen,
        )
        service = self._client.workflow_service
        await _translated(
            lambda: service.set_worker_deployment_current_version(request, retry=True, timeout=_ANSWER)
        )

    async def set_ramping(self, build: str, percentage: float) -> None:
        """Send a share of what is new to a version; an empty ``build`` ends the ramp. Idempotent."""
        from temporalio.api.workflowservice.v1 import SetWorkerDeploymentRampingVersionRequest

        request = SetWorkerDeploymentRampingVersionRequest(
            namespace=self._client.namespace,
            deployment_name=self.name,
            build_id=build,
            percentage=percentage,
            ignore_missing_task_queues=True,
        )
        service = self._client.workflow_service
        await _translated(
            lambda: service.set_worker_deployment_ramping_version(request, retry=True, timeout=_ANSWER)
        )

    async def delete(self, build: str) -> str:
        """Have Temporal forget a version; returns why it will not yet, or nothing. Idempotent."""
        from temporalio.api.workflowservice.v1 import DeleteWorkerDeploymentVersionRequest
        from temporalio.service import RPCError, RPCStatusCode

        request = DeleteWorkerDeploymentVersionRequest(
            namespace=self._client.namespace, deployment_version=self._version(build), skip_drainage=True
        )
        service = self._client.workflow_service

        async def ask() -> str:
            try:
                await service.delete_worker_deployment_version(request, retry=True, timeout=_ANSWER)
            except RPCError as error:
                if error.status in (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.INVALID_ARGUMENT):
                    return error.message
                raise
            return ""

        return await _known(ask) or ""

    async def polled(self, queue: str) -> dict[str, float]:
        """Return the builds whose workers ask for work, and when each last did (seconds since the epoch)."""
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        service = self._client.workflow_service
        found = await _translated(lambda: service.describe_task_queue(request, retry=True, timeout=_ANSWER))
        seen: dict[str, float] = {}
        for poller in found.pollers:
            build, at = poller.deployment_options.build_id, poller.last_access_time.ToMilliseconds() / 1000
            if poller.deployment_options.deployment_name == self.name:
                seen[build] = max(at, seen.get(build, 0.0))
        return seen

    async def _describe(self) -> tuple[Any, bytes]:
        from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest

        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self.name)
        service = self._client.workflow_service
        found = await _known(lambda: service.describe_worker_deployment(request, retry=True, timeout=_ANSWER))
        return (None, b"") if found is None else (found.worker_deployment_info, found.conflict_token)

    def _version(self, build: str) -> Any:
        from temporalio.api.deployment.v1 import WorkerDeploymentVersion

        return WorkerDeploymentVersion(deployment_name=self.name, build_id=build)


def deployment_name(queue: str) -> str:
    """Return the name of the deployment of a task queue's workers.

    It is the queue's own, but for the characters that Temporal keeps for itself.
    """
    return re.sub(r"[.:]", "-", queue)


def _version(summary: Any, ramp: float, jobs: int) -> Version:
    from temporalio.api.enums.v1 import VersionDrainageStatus as Drainage

    def seconds(field: str) -> float:
        at: float = getattr(summary, field).ToMilliseconds() / 1000
        return at

    state, share, since = "waiting", 0.0, seconds("create_time")
    if summary.HasField("current_since_time"):
        state, share, since = "current", 100.0 - ramp, seconds("current_since_time")
    elif summary.HasField("ramping_since_time"):
        state, share, since = "ramping", ramp, seconds("ramping_since_time")
    elif summary.HasField("last_deactivation_time"):
        drained = summary.drainage_status == Drainage.VERSION_DRAINAGE_STATUS_DRAINED
        state, since = "drained" if drained else "draining", seconds("last_deactivation_time")
    return Version(
        build=summary.deployment_version.build_id,
        state=state,
        percentage=share,
        created_at=seconds("create_time"),
        since=since,
        became_current_at=seconds("last_current_time"),
        jobs=jobs,
    )


async def _known(ask: Callable[[], Awaitable[Answer]]) -> Answer | None:
    """Return the answer; None where Temporal does not know what is asked about."""
    from temporalio.service import RPCError, RPCStatusCode

    async def asked() -> Answer | None:
        try:
            return await ask()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    return await _translated(asked)


async def _translated(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    from temporalio.service import RPCError

    try:
        return await ask()
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal does not say which versions there are: {error.message}", "run `mltemporal doctor`"
        ) from error
