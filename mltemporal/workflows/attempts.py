"""What the workflow of every job does: validate, launch, follow, clean up; retry what was interrupted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TimeIsOver

with workflow.unsafe.imports_passed_through():
    # By module: Temporal's sandbox resolves a payload's types in the modules that are named here.
    import mltemporal.specs.data  # noqa: F401
    from mltemporal.errors import NON_RETRYABLE, TrainingInterrupted
    from mltemporal.specs.health import Notice
    from mltemporal.specs.results import Outcome, TrainingResult
    from mltemporal.specs.running import Attempt, Command, JobPlan, JobStatus, WorkflowState

T = TypeVar("T")

_AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=0.2),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=[*NON_RETRYABLE, TrainingInterrupted.__name__],
)
_SILENCE = timedelta(seconds=10)
"""Each activity beats every second. So a killed worker's jobs are taken up again within seconds."""

_VALIDATE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "schedule_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
}
_CREATE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
}
_MONITOR: dict[str, Any] = {
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
    "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}
_COMMAND: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "retry_policy": _AGAIN,
}
_RECORD: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(days=1),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
}
_CLEAN_UP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "schedule_to_close_timeout": timedelta(days=7),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
}


class JobWorkflow:
    """Owns one job from the request to the last trace of it; each kind says in `_work` what it does."""

    def __init__(self) -> None:
        self._state = WorkflowState(stage="validating")

    async def _work(self, job_id: int) -> Outcome:
        """Do what the job is for and return how it ended well."""
        raise NotImplementedError

    async def _own(self, job_id: int) -> Outcome:
        """Work; ends as failed or cancelled where the job does, always after the clean-up."""
        try:
            outcome = await self._work(job_id)
        except (ActivityError, asyncio.CancelledError) as error:
            await self._clean_up(_outcome(job_id, self._state.attempt, error))
            raise
        await self._clean_up(outcome)
        return outcome

    async def _validate(self, job_id: int) -> JobPlan:
        plan: JobPlan = await workflow.execute_activity(
            "validate_dataset", job_id, result_type=JobPlan, summary="check the dataset", **_VALIDATE
        )
        return plan

    async def _attempt(self, plan: JobPlan) -> TrainingResult:
        """Launch and follow, again where the job was interrupted, until its time is over."""
        deadline = workflow.time() + plan.timeout_s
        last = plan.attempts_before + plan.retries + 1
        for number in range(plan.attempts_before + 1, last + 1):
            attempt = Attempt(job_id=plan.job_id, number=number)
            left = timedelta(seconds=max(1.0, deadline - workflow.time()))
            options = {"schedule_to_close_timeout": left, "summary": f"attempt {number}"}
            try:
                self._enter("starting", number)
                await workflow.execute_activity("create_training_job", attempt, **_CREATE | options)
                self._enter("running", number)
                result: TrainingResult = await workflow.execute_activity(
                    "monitor_training", attempt, result_type=TrainingResult, **_MONITOR | options
                )
                return result
            except ActivityError as error:
                if number == last or not _interrupted(error) or _cancel_requested():
                    raise
            self._enter("waiting to try again", number)
            await workflow.sleep(min(2.0 ** (number - plan.attempts_before - 1), 60.0))
        raise AssertionError("a last attempt returns or raises")

    async def _record(self, activity: str, plan: JobPlan, ended: TrainingResult, kind: type[T]) -> T:
        """Record what the job's last attempt has left."""
        self._enter("recording", ended.attempts)
        recorded: T = await workflow.execute_activity(
            activity,
            Attempt(job_id=plan.job_id, number=ended.attempts),
            result_type=kind,
            summary="record what was made",
            **_RECORD,
        )
        return recorded

    async def _clean_up(self, outcome: Outcome) -> None:
        """Release everything, whatever arrives meanwhile.

        A cancellation during the clean-up must not cut it short: it runs in a task of its own,
        waited for again after each interruption.
        """
        self._enter("cleaning up", self._state.attempt)
        task = asyncio.ensure_future(self._release(outcome))
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                workflow.logger.info("cancelled during the clean-up, which goes on")
        self._enter(outcome.status, self._state.attempt)
        task.result()

    async def _release(self, outcome: Outcome) -> None:
        wanted = await workflow.execute_activity(
            "cleanup_resources", outcome, result_type=bool, summary=outcome.status, **_CLEAN_UP
        )
        if wanted:  # histories of 0.1.0's first days hold nothing here, which means no
            # A workflow of its own: a dead webhook must not keep the job's open.
            await workflow.start_child_workflow(
                "NotificationWorkflow",
                Notice(job_id=outcome.job_id),
                id=f"notice-{workflow.info().run_id}",  # by run: a job that is started again ends again
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )

    @workflow.query
    def status(self) -> WorkflowState:
        """Return the stage and the attempt."""
        return self._state

    @workflow.update
    async def command(self, command: Command) -> None:
        """Carry out ``pause`` or ``resume``; the answer comes when it is done."""
        await workflow.execute_activity(
            "command_training_job",
            args=[Attempt(job_id=command.job_id, number=self._state.attempt), command],
            summary=command.verb,
            **_COMMAND,
        )

    @command.validator
    def _refuse(self, command: Command) -> None:
        if self._state.stage != "running":
            raise ApplicationError(
                f"cannot {command.verb} a job that is {self._state.stage}", non_retryable=True
            )

    def _enter(self, stage: str, attempt: int) -> None:
        self._state = WorkflowState(stage=stage, attempt=attempt)
        workflow.set_current_details(f"**{stage}**, attempt {attempt}")


def _cancel_requested() -> bool:
    """Whether somebody asked to cancel, also where the activity that was to hear it ended otherwise."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _interrupted(error: ActivityError) -> bool:
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type == TrainingInterrupted.__name__


def _outcome(job_id: int, attempts: int, error: BaseException) -> Outcome:
    """Say in words how the job ended."""
    status, what, next_step = JobStatus.FAILED, str(error), ""
    cause = error.cause if isinstance(error, ActivityError) else error
    if _cancel_requested() or isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error):
        status, what = JobStatus.CANCELLED, "cancelled"
    elif isinstance(cause, TimeIsOver):
        what, next_step = "the job's time was over", "give it more: train(…, timeout='48h')"
    elif isinstance(cause, ApplicationError):
        what = cause.message
    return Outcome(job_id=job_id, status=status, attempts=attempts, what=what, next_step=next_step)
