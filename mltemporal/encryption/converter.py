"""Conversion with encryption: what was refused is an error where it would be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.exceptions import ApplicationError

from mltemporal.encryption.codec import EncryptionCodec
from mltemporal.encryption.keyring import Keyring
from mltemporal.encryption.sealing import REFUSED, was_refused

ERROR_TYPE = "Refused"


def refused_error(what: str, why: str) -> ApplicationError:
    """Return the error of something that no process with the keys sent; trying again does not help."""
    return ApplicationError(
        f"{what} was refused: {why}; somebody else uses this Temporal, or processes use different keys",
        type=ERROR_TYPE,
        non_retryable=True,
    )


@dataclass(frozen=True)
class RefusedValue:
    """Stands for an activity's argument that was refused; the activity is not run with it."""

    why: str


class _RefusalConverter(EncodingPayloadConverter, WithSerializationContext):
    """Converts refusals: to an error, or for an activity to a value: its errors would be tried again."""

    def __init__(self, *, to_value: bool = False) -> None:
        self._to_value = to_value

    @property
    def encoding(self) -> str:
        return REFUSED.decode()

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ARG002  (a refusal is only ever read)
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ARG002
        why = payload.data.decode()
        if self._to_value:
            return RefusedValue(why)
        raise refused_error("a message", why)

    def with_context(self, context: SerializationContext) -> _RefusalConverter:
        return _RefusalConverter(to_value=isinstance(context, ActivitySerializationContext))


class RefusingPayloadConverter(DefaultPayloadConverter):
    """Temporal's own converter, which knows refusals besides."""

    def __init__(self) -> None:
        super().__init__()
        self._set_converters(*self.converters.values(), _RefusalConverter())


class SealedFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Texts and stack traces are sealed; an error whose text is not was told by a stranger."""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Return the error; one that was not sealed is replaced. What the server itself tells is believed."""
        if failure.HasField("application_failure_info") and (why := _stranger(failure)):
            return refused_error("an error", why)
        return super().from_failure(failure, payload_converter)


def _stranger(failure: Failure) -> str:
    """Return why nobody with the keys told this, or nothing."""
    if not failure.HasField("encoded_attributes"):
        return "its text is not encrypted"
    sealed = failure.encoded_attributes
    return sealed.data.decode() if was_refused(sealed) else ""


def converter_with(keyring: Keyring, *, may_lag: bool = False) -> DataConverter:
    """Return the conversion with these keys."""
    return DataConverter(
        payload_converter_class=RefusingPayloadConverter,
        payload_codec=EncryptionCodec(keyring, may_lag=may_lag),
        failure_converter_class=SealedFailureConverter,
    )
