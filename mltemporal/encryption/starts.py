"""What a client starts a workflow with is sealed for that type of workflow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from temporalio.client import (
    CreateScheduleInput,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleUpdate,
    ScheduleUpdateInput,
    StartWorkflowInput,
    UpdateScheduleInput,
    WorkflowHandle,
)

from mltemporal.encryption.codec import starting
from mltemporal.encryption.gate import start_purpose


class SealedStarts(Interceptor):
    """Says for which type of workflow arguments are sealed; for clients that encrypt."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Put it before the calls that start workflows."""
        return _Marked(next)


class _Marked(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        with _starting(input.workflow):
            return await super().start_workflow(input)

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        with _starting(_scheduled(input.schedule)):
            return await super().create_schedule(input)

    async def update_schedule(self, input: UpdateScheduleInput) -> None:
        async def update(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
            changed = input.updater(found)
            wanted = await changed if inspect.isawaitable(changed) else changed
            if wanted is not None:  # what it is made of is converted next, in this very task
                starting.set(start_purpose(_scheduled(wanted.schedule)))
            return wanted

        token = starting.set(b"")
        try:
            await super().update_schedule(replace(input, updater=update))
        finally:
            starting.reset(token)


def _scheduled(schedule: Schedule) -> str:
    action = schedule.action
    return action.workflow if isinstance(action, ScheduleActionStartWorkflow) else ""


@contextmanager
def _starting(workflow_type: str) -> Iterator[None]:
    token = starting.set(start_purpose(workflow_type))
    try:
        yield
    finally:
        starting.reset(token)
