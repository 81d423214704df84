"""An activity runs only for the task that its workflow made, and its answer is sealed to that task."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from mltemporal.encryption.codec import answering, opened
from mltemporal.encryption.converter import RefusedValue, refused_error
from mltemporal.encryption.gate import task_purpose


class SealedTasks(Interceptor):
    """Refuses tasks that nobody with the keys made; for workers whose client encrypts."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Put the check before each activity."""
        return _Checked(next)


class _Checked(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        named = info.workflow_run_id or "", info.activity_id, info.activity_type
        try:
            if why := _why_not(input, task_purpose("task", *named)):
                activity.logger.warning("a task for %s was refused: %s", info.activity_type, why)
                raise refused_error(f"a task for {info.activity_type!r}", why)
            return await self.next.execute_activity(input)
        finally:
            # What this very task encodes from here on is the answer; a heartbeat has a task of its own.
            answering.set(task_purpose("answer", *named))


def _why_not(given: ExecuteActivityInput, wanted: bytes) -> str:
    if not given.args:
        return "it came without a sealed payload"
    for value in given.args:
        if isinstance(value, RefusedValue):
            return value.why
    found = opened.get()[: len(given.args)]
    if len(found) < len(given.args) or any(each != wanted for each in found):
        return "it was made for another task"
    return ""
