"""NotificationWorkflow: tells people one thing, at least once."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from mltemporal.errors import NON_RETRYABLE
    from mltemporal.specs.health import Notice  # by module: see attempts.py

_FOR_A_DAY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=10),
    non_retryable_error_types=list(NON_RETRYABLE),
)


@workflow.defn
class NotificationWorkflow:
    """Started as a child that its parent abandons: who sends the notice does not wait for it."""

    @workflow.run
    async def run(self, notice: Notice) -> None:
        """Deliver the notice; ends as failed where nobody took it for a day."""
        await workflow.execute_activity(
            "deliver_notice",
            notice,
            start_to_close_timeout=timedelta(minutes=2),
            schedule_to_close_timeout=timedelta(days=1),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=_FOR_A_DAY,
            summary="a job's end" if notice.job_id is not None else "a check that turned",
        )
