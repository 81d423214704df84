"""Replay: histories of this Temporal against the workflow code at hand, before it takes them over."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mltemporal.errors import NotFound
from mltemporal.owner import translated
from mltemporal.words import clean

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecution, WorkflowHistory
    from temporalio.runtime import Runtime
    from temporalio.worker import Replayer

    from mltemporal.database.engine import Database
    from mltemporal.session import Session

Answer = TypeVar("Answer")

_replaying: ContextVar[bool] = ContextVar("replaying", default=False)

AT_ONCE = 4
_LONGEST_REASON = 300
_WITHIN_S = 30.0
"""A replay takes milliseconds; one that takes so long hangs, or the machine does."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How one history fits the code at hand."""

    workflow_id: str
    run_id: str
    kind: str
    """The workflow's type: ``TrainingWorkflow``."""
    open: bool
    """Whether the workflow still ran."""
    events: int = 0
    job_id: int | None = None
    """None where it is no job's: a round of the monitor, a notice."""
    event: str = ""
    """The event that did not fit: ``5 ActivityTaskScheduled``; empty where it is not known."""
    reason: str = ""
    """Why it does not fit; empty where it does."""
    readable: bool = True
    """Whether this process has the keys to what the workflow was started with."""
    in_time: bool = True
    """Whether the replay came to an end; otherwise it only is not known to fit."""

    @property
    def ok(self) -> bool:
        """Whether it fits."""
        return not self.reason

    @property
    def misfit(self) -> bool:
        """Whether the code must not ship so: what is closed, and of before encryption, says nothing of it."""
        return not self.ok and (self.open or self.readable)

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.workflow_id if self.job_id is None else f"job {self.job_id}"

    def __repr__(self) -> str:
        if self.ok:
            return f"{self.label} replays on this code: {self.events} events of {self.kind}"
        at = f" at event {self.event}" if self.event else ""
        return f"{self.label} does not replay on this code{at}: {self.reason}"


def replayer(client: Client) -> Replayer:
    """Return what replays on the code of this process; it reads payloads as the client does."""
    from temporalio.worker import Plugin, Replayer

    from mltemporal.deployments.workflow_code import WORKFLOWS, workflow_runner

    return Replayer(
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        namespace=client.namespace,
        data_converter=client.data_converter,
        plugins=[each for each in client.config()["plugins"] if isinstance(each, Plugin)],
        runtime=_quiet(),
    )


@functools.cache
def _quiet() -> Runtime:
    """A runtime that leaves it to us to say what does not fit."""
    from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

    # The SDK logs a traceback of what does not fit; it arises in a task of the replay's.
    logging.getLogger("temporalio.worker._workflow").addFilter(lambda _: not _replaying.get())
    silent = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=silent)))


async def recent(
    client: Client,
    queues: Sequence[str],
    *,
    limit: int | None = None,
    open_only: bool = False,
    workflow_id: str | None = None,
) -> list[WorkflowExecution]:
    """Return the newest workflows of these task queues, open and closed; or the runs of one of them.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    names = ", ".join(f"'{queue}'" for queue in queues)
    query = f"TaskQueue IN ({names})" + (" AND ExecutionStatus = 'Running'" if open_only else "")
    if workflow_id is not None:
        query = f"WorkflowId = '{workflow_id}'"
    with translated():
        return [each async for each in client.list_workflows(query, limit=limit)]


async def replay(
    client: Client, executions: Sequence[WorkflowExecution], database: Database | None = None
) -> AsyncIterator[Replayed]:
    """Replay each of them on the code of this process, a few at a time, in their order.

    Args:
        client: where the histories are.
        executions: which ones; one that Temporal has forgotten meanwhile is left out.
        database: knows the jobs' ids.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    engine = replayer(client)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(execution: WorkflowExecution) -> Replayed | None:
        async with turn:
            return await _replayed(client, engine, execution, database)

    tasks = [asyncio.create_task(one(each)) for each in executions]
    try:
        for task in tasks:
            if found := await task:
                yield found
    finally:
        for task in tasks:
            task.cancel()


async def replay_job(session: Session, workflow_id: str) -> Replayed:
    """Replay the newest history of a job's workflow on the code of this process.

    Raises:
        NotFound: Temporal has none: it was never started, or is forgotten by now.
        ServiceUnavailable: Temporal does not answer.
    """
    client = await session.client()
    found = await _known(client.get_workflow_handle(workflow_id).describe())
    replayed = None if found is None else await _replayed(client, replayer(client), found, session.database)
    if replayed is None:
        raise NotFound(
            f"Temporal has no history of {workflow_id!r}",
            "of ended jobs it keeps them for some days",
        )
    return replayed


async def _replayed(
    client: Client, engine: Replayer, execution: WorkflowExecution, database: Database | None
) -> Replayed | None:
    from temporalio.client import WorkflowExecutionStatus

    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    history = await _known(handle.fetch_history())
    if history is None:
        return None
    in_time = True
    try:
        event, reason = await asyncio.create_task(misfit(engine, history))  # a context of its own
    except TimeoutError:
        in_time, event, reason = False, "", f"the replay did not end within {_WITHIN_S:.0f} s"
    return Replayed(
        workflow_id=execution.id,
        run_id=execution.run_id,
        kind=execution.workflow_type,
        open=execution.status is WorkflowExecutionStatus.RUNNING,
        events=len(history.events),
        job_id=None if database is None else await asyncio.to_thread(_job_id, database, execution.id),
        event=event,
        reason=reason,
        readable=await _readable(client, history),
        in_time=in_time,
    )


async def _known(asked: Awaitable[Answer]) -> Answer | None:
    """Return Temporal's answer; None where it does not know what is asked about."""
    from temporalio.service import RPCError, RPCStatusCode

    with translated():
        try:
            return await asked
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    return None


async def _readable(client: Client, history: WorkflowHistory) -> bool:
    from temporalio.converter import WithSerializationContext, WorkflowSerializationContext

    from mltemporal.encryption.sealing import was_refused

    codec = client.data_converter.payload_codec
    if codec is None:
        return True
    if isinstance(codec, WithSerializationContext):
        place = WorkflowSerializationContext(namespace=client.namespace, workflow_id=history.workflow_id)
        codec = codec.with_context(place)
    given = history.events[0].workflow_execution_started_event_attributes.input.payloads
    return bool(given) and not any(map(was_refused, await codec.decode(given)))


async def misfit(engine: Replayer, history: WorkflowHistory) -> tuple[str, str]:
    """Return the event that does not fit and why; two empty texts where the whole history fits.

    Raises:
        TimeoutError: it hangs, or the machine is too busy to say.
    """
    _replaying.set(True)
    try:
        async with asyncio.timeout(_WITHIN_S):
            result = await engine.replay_workflow(history, raise_on_replay_failure=False)
    except (RuntimeError, ValueError) as error:  # what the SDK raises for what is no history of ours
        return "", _one_line(str(error))
    if result.replay_failure is None:
        return "", ""
    reason = _core(str(result.replay_failure))
    return _event(history, str(result.replay_failure), reason), reason


def _core(text: str) -> str:
    """Return the reason out of the SDK's words, which are long and nested."""
    found = re.search(r'message: "(.+?)", source: "', text, re.DOTALL)
    return _one_line((found[1] if found else text).replace("[TMPRL1100] Nondeterminism error: ", ""))


def _event(history: WorkflowHistory, text: str, reason: str) -> str:
    """Return the event that is meant: its number where the SDK says it, else the one that bears the name."""
    found = re.search(r"HistoryEvent\(id: (\d+), (?:Some\()?(\w+)", text)
    if found:
        return f"{found[1]} {found[2]}"
    named = re.search(r"of scheduled event '([^']+)'", reason)
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes
        if named and scheduled.activity_type.name == named[1]:
            return f"{event.event_id} ActivityTaskScheduled"
    return ""


def _one_line(text: str) -> str:
    return clean(" ".join(text.split()))[:_LONGEST_REASON] or "it does not say why"


def _job_id(database: Database, key: str) -> int | None:
    row = database.leftovers.of_key(key)
    return None if row is None else row.id
