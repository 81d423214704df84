"""What the workflow of every job does: validate, launch, follow, clean up; retry what was interrupted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TimeIsOver

with workflow.unsafe.imports_passed_through():
    # By module: Temporal's sandbox resolves a payload's types in the modules that are named here.
    import mltemporal.specs.data  # noqa: F401
    from mltemporal.errors import NON_RETRYABLE, Disowned, TrainingInterrupted
    from mltemporal.specs.health import Notice
    from mltemporal.specs.results import Outcome, TrainingResult
    from mltemporal.specs.running import Attempt, Carried, Command, JobPlan, JobStatus, WorkflowState
    from mltemporal.workflows.commands import LONGEST_S, Ledger, refused_time

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
    "start_to_close_timeout": timedelta(seconds=LONGEST_S),  # the job's own time is the workflow's to keep
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _AGAIN,
    "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}
_COMMAND: dict[str, Any] = {
    "heartbeat_timeout": _SILENCE,
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
_ENDING = ("recording", "cleaning up", *(status for status in JobStatus if status.final))
_TIME_IS_OVER = "the job's time was over"
_NO_MORE_TIME = "cannot extend a job whose time is over"
_MORE_TIME = "give it more: train(…, timeout='48h'), or job.extend('48h') while it runs"


class JobWorkflow:
    """Owns one job from the request to the last trace of it; each kind says in `_work` what it does."""

    def __init__(self) -> None:
        self._state = WorkflowState(stage="validating")
        self._job_id = 0
        self._carried = Carried()
        self._ledger = Ledger.of(self._carried)
        self._one_by_one = asyncio.Lock()
        self._began = self._deadline = 0.0
        self._time_is_over = False
        self._running: workflow.ActivityHandle[Any] | None = None
        self._timed = False
        """Whether the deadline is this workflow's own timer; before, it was the activities' timeout."""

    async def _work(self, job_id: int) -> Outcome:
        """Do what the job is for and return how it ended well."""
        raise NotImplementedError

    async def _own(self, job_id: int, carried: Carried | None) -> Outcome:
        """Work; ends as failed or cancelled where the job does, always after the clean-up."""
        self._job_id = job_id
        if carried is not None:
            self._carried, self._ledger = carried, Ledger.of(carried)
        self._timed = workflow.patched("the deadline is a timer")
        try:
            outcome = await self._work(job_id)
        except (ActivityError, asyncio.CancelledError) as error:
            if self._state.stage == "validating" and _type_of(error) == Disowned.__name__:
                raise  # nothing of that job is this workflow's
            ended = _outcome(job_id, self._state.attempt, error, over=self._time_is_over)
            await self._clean_up(ended)
            if self._time_is_over and not _cancel_requested():
                raise ApplicationError(_TIME_IS_OVER, non_retryable=True) from error
            if self._timed and ended.status is JobStatus.CANCELLED:  # also where it was killed in that moment
                raise asyncio.CancelledError from error
            raise
        await self._clean_up(outcome)
        return outcome

    async def _validate(self, job_id: int) -> JobPlan:
        if self._carried.plan is not None:
            return self._carried.plan
        plan: JobPlan = await workflow.execute_activity(
            "validate_dataset", job_id, result_type=JobPlan, summary="check the dataset", **_VALIDATE
        )
        return plan

    async def _attempt(self, plan: JobPlan) -> TrainingResult:
        """Launch and follow, again where the job was interrupted, until its time is over."""
        self._began = self._carried.began or workflow.time()
        self._deadline = self._carried.deadline or self._began + plan.timeout_s
        if not self._timed:
            return await self._attempts(plan)
        watch = asyncio.create_task(self._watch_time())
        try:
            return await self._attempts(plan)
        finally:
            watch.cancel()

    async def _attempts(self, plan: JobPlan) -> TrainingResult:
        before = plan.attempts_before
        last = before + plan.retries + 1
        first = self._carried.attempt or before + 1
        for number in range(first, last + 1):
            if self._timed and number > first and self._history_is_long(number - first):
                await self._continue_as_new(plan, number)
            attempt = Attempt(job_id=plan.job_id, number=number, fresh=number == before + 1)
            options: dict[str, Any] = {"summary": f"attempt {number}"}
            if not self._timed:
                left = timedelta(seconds=max(1.0, self._deadline - workflow.time()))
                options["schedule_to_close_timeout"] = left
            try:
                self._enter("starting", number)
                await self._activity("create_training_job", attempt, None, **_CREATE | options)
                self._enter("running", number)
                result: TrainingResult = await self._activity(
                    "monitor_training", attempt, TrainingResult, **_MONITOR | options
                )
                return result
            except ActivityError as error:
                if number == last or not _interrupted(error) or _cancel_requested() or self._time_is_over:
                    raise
                self._enter("waiting to try again", number)
                with suppress(TimeoutError):
                    wait_s = min(2.0 ** (number - before - 1), 60.0)
                    await workflow.wait_condition(lambda: self._time_is_over, timeout=wait_s)
                if self._time_is_over:
                    raise
        raise AssertionError("a last attempt returns or raises")

    async def _activity(self, name: str, attempt: Attempt, kind: type[T] | None, **options: Any) -> Any:
        """Run an activity that ends, cancelled, when the job's time is over."""
        self._running = workflow.start_activity(name, attempt, result_type=kind, **options)
        if self._time_is_over:  # while nothing ran that could be ended
            self._running.cancel()
        try:
            return await self._running
        finally:
            self._running = None

    async def _watch_time(self) -> None:
        """End what runs when the job's time, which `extend` changes, is over."""
        while (left := self._deadline - workflow.time()) > 0:
            deadline = self._deadline
            try:
                await workflow.wait_condition(lambda: self._deadline != deadline, timeout=left)  # noqa: B023
            except TimeoutError:
                continue  # or was it moved in this moment?
        self._time_is_over = True
        if self._running is not None:
            self._running.cancel()

    def _history_is_long(self, attempts: int) -> bool:
        info = workflow.info()
        return (
            attempts >= self._carried.most_attempts
            or self._ledger.taken >= self._ledger.most
            or info.is_continue_as_new_suggested()
        )

    async def _continue_as_new(self, plan: JobPlan, number: int) -> None:
        """Go on in another run, whose history is short."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._time_is_over:
            return  # this run ends the job
        carried = replace(
            self._carried,
            plan=plan,
            attempt=number,
            began=self._began,
            deadline=self._deadline,
            commands=self._ledger.remembered(),
        )
        workflow.continue_as_new(args=[plan.job_id, carried])

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
        if self._timed:
            await workflow.wait_condition(workflow.all_handlers_finished)
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
    async def command(self, command: Command) -> str:
        """Carry the command out, one at a time; returns in a sentence what came of it."""
        self._ledger.take(command)
        async with self._one_by_one:
            if self._state.stage in _ENDING:  # it ended while another command was carried out
                raise _refused(f"cannot {command.verb} a job that is {self._state.stage}")
            self._give_time(command)
            answer: str | None = await workflow.execute_activity(
                "command_training_job",
                args=[Attempt(job_id=command.job_id, number=self._state.attempt), command],
                summary=command.verb,
                **_COMMAND,
            )
            if command.verb == "extend" and command.timeout_s is not None:
                self._deadline = self._began + command.timeout_s
        return answer or command.verb  # 0.1.0's activity said nothing

    def _give_time(self, command: Command) -> None:
        """Give it before that is recorded: what is in the history must not be over in that moment."""
        if command.verb != "extend" or command.timeout_s is None:
            return
        if workflow.patched("time is given before it is recorded"):  # older ones gave it afterwards
            if self._time_is_over:
                raise _refused(_NO_MORE_TIME)
            self._deadline = self._began + command.timeout_s

    @command.validator
    def _refuse(self, command: Command) -> None:
        info = workflow.info()
        events = info.get_current_history_length()
        why = self._ledger.refusal(command, self._job_id, self._state.stage, events)
        if not why and command.verb == "extend":
            if self._timed and self._time_is_over:
                why = _NO_MORE_TIME
            elif self._timed:
                limit = info.execution_timeout
                limit_s = limit.total_seconds() if limit else None
                why = refused_time(command.timeout_s, workflow.time() - self._began, limit_s)
            else:
                why = "it was started by an older version, with a time that cannot be changed"
        if why:
            raise _refused(why)

    def _enter(self, stage: str, attempt: int) -> None:
        self._state = WorkflowState(stage=stage, attempt=attempt)
        workflow.set_current_details(f"**{stage}**, attempt {attempt}")


def _cancel_requested() -> bool:
    """Whether somebody asked to cancel, also where the activity that was to hear it ended otherwise."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _interrupted(error: ActivityError) -> bool:
    return _type_of(error) == TrainingInterrupted.__name__


def _type_of(error: BaseException) -> str | None:
    """Return the class name of the error that an activity raised."""
    cause = error.cause if isinstance(error, ActivityError) else None
    return cause.type if isinstance(cause, ApplicationError) else None


def _refused(why: str) -> ApplicationError:
    return ApplicationError(why, non_retryable=True)


def _outcome(job_id: int, attempts: int, error: BaseException, *, over: bool) -> Outcome:
    """Say in words how the job ended."""
    status, what, next_step = JobStatus.FAILED, str(error), ""
    cause = error.cause if isinstance(error, ActivityError) else error
    if over and not _cancel_requested():
        what, next_step = _TIME_IS_OVER, _MORE_TIME
    elif _cancel_requested() or isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error):
        status, what = JobStatus.CANCELLED, "cancelled"
    elif isinstance(cause, TimeIsOver):
        what, next_step = _TIME_IS_OVER, _MORE_TIME
    elif isinstance(cause, ApplicationError):
        what = cause.message
    return Outcome(job_id=job_id, status=status, attempts=attempts, what=what, next_step=next_step)
