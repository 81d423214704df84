from dataclasses import replace

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

from mltemporal.encryption.codec import EncryptionCodec
from mltemporal.encryption.converter import RefusedValue, converter_with
from mltemporal.encryption.keyring import Keyring, home_keyring, retire, rotate
from mltemporal.encryption.sealing import UnknownKey, was_refused
from mltemporal.errors import MLTemporalError

WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="training-1")
ACTIVITY = ActivitySerializationContext(
    namespace="default",
    workflow_id="training-1",
    workflow_type="TrainingWorkflow",
    activity_type="monitor_training",
    activity_id="3",
    activity_task_queue="queue",
    is_local=False,
)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a secret of many letters"')


async def sealed(keyring: Keyring, context: SerializationContext = WORKFLOW) -> Payload:
    return (await EncryptionCodec(keyring).with_context(context).encode([PLAIN]))[0]


async def opened(
    keyring: Keyring, payload: Payload, context: SerializationContext = WORKFLOW, **options: bool
) -> Payload:
    return (await EncryptionCodec(keyring, **options).with_context(context).decode([payload]))[0]


async def test_what_was_sealed_is_opened_and_shows_nothing_before(keyring: Keyring) -> None:
    payload = await sealed(keyring)
    assert b"secret of many" not in payload.SerializeToString()
    assert PLAIN == await opened(keyring, payload)


async def test_equal_payloads_are_sealed_differently(keyring: Keyring) -> None:
    assert (await sealed(keyring)).data != (await sealed(keyring)).data


async def test_an_activity_opens_what_its_workflow_sealed(keyring: Keyring) -> None:
    assert PLAIN == await opened(keyring, await sealed(keyring), ACTIVITY)
    assert PLAIN == await opened(keyring, await sealed(keyring, ACTIVITY))


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(WORKFLOW, workflow_id="training-2"),
        replace(WORKFLOW, namespace="other"),
        replace(WORKFLOW, workflow_id="training-1-2026-01-01T00:00:00Z"),
        replace(ACTIVITY, workflow_id=None),
    ],
)
async def test_what_is_sealed_for_one_workflow_opens_in_no_other(
    keyring: Keyring, elsewhere: SerializationContext
) -> None:
    assert was_refused(await opened(keyring, await sealed(keyring), elsewhere))


async def test_a_round_of_the_monitor_opens_what_its_schedule_was_given(keyring: Keyring) -> None:
    schedule = replace(WORKFLOW, workflow_id="monitor-0a1b-home")
    payload = await sealed(keyring, schedule)
    started = replace(WORKFLOW, workflow_id="monitor-0a1b-home-2026-01-01T00:00:00Z")
    assert PLAIN == await opened(keyring, payload, started)
    of_another = replace(WORKFLOW, workflow_id="monitor-0a1b-2026-01-01T00:00:00Z")
    assert was_refused(await opened(keyring, payload, of_another))


async def test_what_names_another_workflow_without_being_sealed_for_it_is_refused(keyring: Keyring) -> None:
    payload = await sealed(keyring)
    payload.metadata["workflow"] = b"training-2"
    assert was_refused(await opened(keyring, payload, replace(WORKFLOW, workflow_id="training-2")))


@pytest.mark.parametrize("at", range(0, 60, 7))
async def test_a_changed_byte_is_noticed(keyring: Keyring, at: int) -> None:
    payload = await sealed(keyring)
    payload.data = payload.data[:at] + bytes([payload.data[at] ^ 1]) + payload.data[at + 1 :]
    assert was_refused(await opened(keyring, payload))


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 12, b"x" * 27, b"x" * 1000])
async def test_rubbish_is_refused(keyring: Keyring, data: bytes) -> None:
    payload = await sealed(keyring)
    payload.data = data
    assert was_refused(await opened(keyring, payload))


async def test_a_purpose_is_authentic(keyring: Keyring) -> None:
    payload = await sealed(keyring)
    payload.metadata["purpose"] = b"start TrainingWorkflow"
    assert was_refused(await opened(keyring, payload))


async def test_what_is_not_encrypted_is_refused(keyring: Keyring) -> None:
    assert was_refused(await opened(keyring, PLAIN))


async def test_what_a_stranger_sealed_with_a_key_of_the_same_name_is_refused(keyring: Keyring) -> None:
    other = home_keyring(keyring.path.with_name("other.json"))
    payload = await sealed(other)
    payload.metadata["key"] = keyring.newest().id.encode()
    assert was_refused(await opened(keyring, payload))


async def test_an_unknown_key_is_refused_where_the_keyring_is_the_one_that_all_use(keyring: Keyring) -> None:
    payload = await sealed(home_keyring(keyring.path.with_name("other.json")))
    refused = await opened(keyring, payload)
    assert was_refused(refused)
    assert payload.metadata["key"] in refused.data


async def test_elsewhere_it_is_waited_for(keyring: Keyring) -> None:
    payload = await sealed(home_keyring(keyring.path.with_name("other.json")))
    with pytest.raises(UnknownKey, match="newest keyring") as caught:
        await opened(keyring, payload, may_lag=True)
    assert isinstance(caught.value, MLTemporalError)
    assert caught.value.retryable


async def test_old_keys_open_what_they_sealed_until_they_are_retired(keyring: Keyring) -> None:
    payload, first = await sealed(keyring), keyring.newest()
    rotate(keyring.path)
    assert PLAIN == await opened(keyring, payload)
    assert first.id.encode() != (await sealed(keyring)).metadata["key"]
    retire(keyring.path, first.id)
    assert was_refused(await opened(home_keyring(keyring.path), payload))


async def test_a_key_that_another_process_added_meanwhile_is_known(keyring: Keyring) -> None:
    elsewhere = home_keyring(keyring.path)
    rotate(keyring.path)
    assert PLAIN == await opened(keyring, await sealed(elsewhere))


async def test_a_refused_value_is_an_error_to_a_workflow_and_a_client(keyring: Keyring) -> None:
    converter = converter_with(keyring).with_context(WORKFLOW)
    with pytest.raises(Exception, match="a message was refused: it is not encrypted"):
        await converter.decode([PLAIN], [str])


async def test_to_an_activity_it_is_a_value_that_the_worker_refuses(keyring: Keyring) -> None:
    converter = converter_with(keyring).with_context(ACTIVITY)
    assert [RefusedValue("it is not encrypted")] == await converter.decode([PLAIN], [str])


async def test_values_of_every_kind_come_back_as_they_were(keyring: Keyring) -> None:
    converter = converter_with(keyring).with_context(WORKFLOW)
    values = [None, b"bytes", 1, 2.5, "text", {"a": [1, 2]}, True]
    assert values == await converter.decode(await converter.encode(values))
