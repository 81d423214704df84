"""MonitoringWorkflow: one round of the monitor; a Temporal Schedule starts it again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from mltemporal.errors import NON_RETRYABLE
    from mltemporal.specs.health import Mended, Notice, Round  # by module: see attempts.py

_FEW_TIMES = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    maximum_interval=timedelta(seconds=5),
    maximum_attempts=3,  # the next round comes anyway
    non_retryable_error_types=list(NON_RETRYABLE),
)
_CHECK: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _FEW_TIMES,
}
_MEND: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "schedule_to_close_timeout": timedelta(minutes=20),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _FEW_TIMES,
}


@workflow.defn
class MonitoringWorkflow:
    """Looks at every part, mends what crashes left, and has people told what turned."""

    @workflow.run
    async def run(self, monitor: str = "") -> Round:  # noqa: ARG002  (an argument proves who sent it)
        """Do one round of ``monitor``; some twenty events, whatever it finds."""
        run = workflow.info().run_id
        found: Round = await workflow.execute_activity(
            "check_health", run, result_type=Round, summary="look at every part", **_CHECK
        )
        if found.notice is not None:
            await self._tell(found.notice, "health")
        mended: Mended = await workflow.execute_activity(
            "mend", run, result_type=Mended, summary="mend what was left", **_MEND
        )
        for number, notice in enumerate(mended.notices):
            await self._tell(notice, f"mended-{number}")
        workflow.set_current_details(
            f"{found.checks} checks, problems: {', '.join(found.problems) or 'none'}; {mended.deeds} mended"
        )
        return found

    async def _tell(self, notice: Notice, what: str) -> None:
        """Have it told by a workflow of its own: a dead webhook must not hold up the next round."""
        await workflow.start_child_workflow(
            "NotificationWorkflow",
            notice,
            id=f"notice-{workflow.info().run_id}-{what}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
