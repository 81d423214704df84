"""Tasks that wait in Temporal's queues because nobody, or too few, take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.monitoring.looking import Finding
from mltemporal.settings import Settings
from mltemporal.specs.health import HealthState
from mltemporal.stack import doctor_temporal
from mltemporal.stack.asking import within
from mltemporal.stack.connection import connect

if TYPE_CHECKING:
    from temporalio.client import Client

OLD_S = 60.0
"""A task that waits longer is a sign of too few workers."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits in one queue, workflow and activity tasks together."""

    queue: str
    tasks: int
    oldest_s: float
    served: bool
    """Whether somebody polled it in the last minutes."""


def backlog(settings: Settings) -> str | Finding:
    """Whether tasks wait in the queues of these settings' jobs.

    Raises:
        StackError: Temporal does not answer.
    """
    queues = list(dict.fromkeys(doctor_temporal.queues(settings).values()))

    async def ask() -> list[Waiting]:
        client = await connect(settings)
        return [await waiting(client, queue) for queue in queues]

    return judged(within(ask))


def judged(found: list[Waiting]) -> str | Finding:
    """Say how it is: unserved tasks are a problem, old ones a warning."""
    told = [
        f"{each.tasks} wait on {each.queue!r}, the oldest for {each.oldest_s:.0f} s"
        + ("" if each.served else ", and nobody takes them")
        for each in found
        if each.tasks
    ]
    if any(each.tasks and not each.served for each in found):
        return Finding(
            HealthState.PROBLEM, "; ".join(told), "start a worker: `mltemporal up`, or `mltemporal worker`"
        )
    if any(each.tasks and each.oldest_s > OLD_S for each in found):
        return Finding(HealthState.WARNING, "; ".join(told), "are the workers busy, or too few? add some")
    return "; ".join(told) or f"nothing waits on {' and '.join(repr(each.queue) for each in found)}"


async def waiting(client: Client, queue: str) -> Waiting:
    """Return what waits in the queue."""
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    tasks, oldest_s, served = 0, 0.0, True
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        found = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=kind,
                report_stats=True,
            )
        )
        tasks += found.stats.approximate_backlog_count
        oldest_s = max(oldest_s, found.stats.approximate_backlog_age.ToTimedelta().total_seconds())
        served = served and bool(found.pollers)
    return Waiting(queue=queue, tasks=tasks, oldest_s=oldest_s, served=served)
