import pytest
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import TimeoutError as TimeIsOver

from mltemporal.encryption.converter import converter_with
from mltemporal.encryption.keyring import Keyring

WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="training-1")


async def told(keyring: Keyring, error: BaseException) -> Failure:
    failure = Failure()
    await converter_with(keyring).with_context(WORKFLOW).encode_failure(error, failure)
    return failure


async def test_texts_and_stack_traces_of_errors_are_sealed(keyring: Keyring) -> None:
    with pytest.raises(ApplicationError) as caught:
        raise ApplicationError(
            "a text of many letters", "a detail of many letters", type="JobFailed"
        ) from ValueError("a cause of many letters")
    error = caught.value
    failure = await told(keyring, error)
    written = failure.SerializeToString()
    assert b"of many letters" not in written
    assert b"test_failures" not in written, "nor the files' names"
    back = await converter_with(keyring).with_context(WORKFLOW).decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert ("a text of many letters", "JobFailed") == (back.message, back.type)
    assert ["a detail of many letters"] == list(back.details)
    assert "a cause of many letters" in str(back.__cause__)


async def test_an_error_told_by_a_stranger_is_not_repeated(keyring: Keyring) -> None:
    strange = Failure(message="a stranger's word", application_failure_info=ApplicationFailureInfo(type="X"))
    back = await converter_with(keyring).with_context(WORKFLOW).decode_failure(strange)
    assert isinstance(back, ApplicationError)
    assert "a stranger's word" not in str(back)
    assert ("Refused", True) == (back.type, back.non_retryable)


async def test_an_error_of_another_workflow_is_refused(keyring: Keyring) -> None:
    failure = await told(keyring, ApplicationError("it failed"))
    elsewhere = WorkflowSerializationContext(namespace="default", workflow_id="training-2")
    back = await converter_with(keyring).with_context(elsewhere).decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert "made for another workflow" in back.message


async def test_what_the_server_tells_is_believed(keyring: Keyring) -> None:
    failure = Failure(message="activity Heartbeat timeout")
    failure.timeout_failure_info.SetInParent()
    back = await converter_with(keyring).with_context(WORKFLOW).decode_failure(failure)
    assert isinstance(back, TimeIsOver)
