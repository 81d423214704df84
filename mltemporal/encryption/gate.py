"""What a workflow is told passes here first: the answer of a stranger becomes an error, the rest is dropped.

Temporal's server hands on what anybody sent who could reach it. A workflow's own code is only given what
the codec could open, and of an activity only the answer to that very activity of that very run.
Deterministic: it looks at the activation and at the workflow's own commands, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

from mltemporal.encryption.converter import ERROR_TYPE, RefusingPayloadConverter, refused_error
from mltemporal.encryption.sealing import PURPOSE, refusal, was_refused

_NOTHING = "it came without a sealed payload"


def task_purpose(role: str, run_id: str, activity_id: str, activity_type: str) -> bytes:
    """Return what an activity's ``task`` or ``answer`` is sealed for."""
    return f"{role} {run_id} {activity_id} {activity_type}".encode()


def start_purpose(workflow_type: str) -> bytes:
    """Return what the arguments of a workflow are sealed for."""
    return f"start {workflow_type}".encode()


class GatedRunner(WorkflowRunner):
    """Runs workflows as ``runner`` does, each behind a gate."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: Any) -> None:
        """See the base class."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance behind a gate."""
        return cast("WorkflowInstance", _Gated(self._runner.create_instance(det), det.info))

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """See the base class."""
        self._runner.set_worker_level_failure_exception_types(types)


class _Gated:
    """An instance of one run; what is not about its messages is the instance's own."""

    def __init__(self, instance: WorkflowInstance, info: Info) -> None:
        self._instance = instance
        # After a reset, answers of the run that was reset are part of the history.
        self._runs = tuple(dict.fromkeys((info.run_id, info.original_execution_run_id)))
        self._activities: dict[int, tuple[str, str]] = {}
        """Id and type of those that were started, by the SDK's own number."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self._let_in(act)
        completion = self._instance.activate(act)
        self._let_out(completion)
        return completion

    def _let_in(self, act: WorkflowActivation) -> None:
        for number in reversed(range(len(act.jobs))):
            job = act.jobs[number]
            if job.HasField("signal_workflow") and not _genuine(job.signal_workflow.input):
                del act.jobs[number]
            elif job.HasField("initialize_workflow"):
                self._check_start(job.initialize_workflow)
            elif job.HasField("do_update") and not job.do_update.input:
                job.do_update.input.append(refusal(_NOTHING))
            elif job.HasField("resolve_activity"):
                self._check_answer(job.resolve_activity.seq, job.resolve_activity.result)

    def _check_start(self, start: InitializeWorkflow) -> None:
        wanted = [start_purpose(start.workflow_type)]
        given = start.arguments or [Payload()]
        if why := next(filter(None, (_why_not(argument, wanted) for argument in given)), ""):
            del start.arguments[:]
            start.arguments.append(refusal(why))

    def _check_answer(self, number: int, result: ActivityResolution) -> None:
        activity_id, activity_type = self._activities.get(number, ("", ""))
        wanted = [task_purpose("answer", run, activity_id, activity_type) for run in self._runs]
        if result.HasField("completed"):
            why = _why_not(result.completed.result, wanted)
        elif result.HasField("failed"):
            told = _told(result.failed.failure)
            why = "" if told is None else _why_not(told.encoded_attributes, wanted)
        else:
            return
        if why:
            error = refused_error(f"the answer of {activity_type!r}", why)
            result.Clear()
            failure = result.failed.failure
            failure.activity_failure_info.activity_id = activity_id
            failure.activity_failure_info.activity_type.name = activity_type
            failure.message = "Activity task failed"
            _fill(failure.cause, error.message)

    def _let_out(self, completion: WorkflowActivationCompletion) -> None:
        for command in completion.successful.commands:
            if command.HasField("schedule_activity"):
                activity = command.schedule_activity
                self._activities[activity.seq] = activity.activity_id, activity.activity_type
                stamp = task_purpose("task", self._runs[0], activity.activity_id, activity.activity_type)
                _stamp(activity.arguments, stamp)
            elif command.HasField("start_child_workflow_execution"):
                child = command.start_child_workflow_execution
                _stamp(child.input, start_purpose(child.workflow_type))
            elif command.HasField("continue_as_new_workflow_execution"):
                again = command.continue_as_new_workflow_execution
                _stamp(again.arguments, start_purpose(again.workflow_type))


def _stamp(payloads: Iterable[Payload], purpose: bytes) -> None:
    for payload in payloads:
        payload.metadata[PURPOSE] = purpose


def _genuine(payloads: Any) -> bool:
    return len(payloads) > 0 and not any(was_refused(payload) for payload in payloads)


def _why_not(payload: Payload, wanted: list[bytes]) -> str:
    """Return why this is not the answer that is waited for, or nothing."""
    if was_refused(payload):
        return payload.data.decode()
    if not payload.metadata:
        return _NOTHING
    return "" if payload.metadata.get(PURPOSE) in wanted else "it was made for something else"


def _told(failure: Failure) -> Failure | None:
    """Return the part that the activity told; None where all of it is the server's, a timeout say."""
    while not failure.HasField("application_failure_info"):
        if not failure.HasField("cause"):
            return None
        failure = failure.cause
    return failure


def _fill(failure: Failure, text: str) -> None:
    """Write an error of ours as one that was opened: it never leaves this process so."""
    failure.application_failure_info.type = ERROR_TYPE
    failure.application_failure_info.non_retryable = True
    attributes = {"message": text, "stack_trace": ""}
    failure.encoded_attributes.CopyFrom(RefusingPayloadConverter().to_payloads([attributes])[0])
