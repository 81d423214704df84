"""The codec that seals what goes to Temporal and opens what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from mltemporal.encryption.keyring import Keyring
from mltemporal.encryption.sealing import (
    NOWHERE,
    PURPOSE,
    Place,
    Refused,
    UnknownKey,
    place_of,
    refusal,
    seal,
    unseal,
    was_refused,
)

answering: ContextVar[bytes] = ContextVar("answering", default=b"")
"""The purpose of what an activity answers, once it has ended."""
starting: ContextVar[bytes] = ContextVar("starting", default=b"")
"""The purpose of what a client is about to start a workflow with."""
opened: ContextVar[tuple[bytes, ...]] = ContextVar("opened", default=())
"""The purposes of what was opened for the activity of this task, in order."""

_ROUND = re.compile(r"(monitor-[\w-]+?)-\d{4}-\d\d-\d\dT[\d:.]+Z")
"""A Schedule starts its workflows under its own id and the time: the one case of a payload's id not being its
workflow's. Only a monitor has one."""


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Seals payloads to the workflow of its context.

    What is not sealed, or is sealed for somewhere else, becomes a *refusal*, a payload that cannot be
    converted: only where it would be used is known what refusing it means.
    """

    def __init__(self, keyring: Keyring, *, may_lag: bool = False, place: Place = NOWHERE) -> None:
        """Seal with ``keyring``.

        Args:
            keyring: the keys.
            may_lag: whether others may be given new keys before this process is: then what an unknown
                key sealed is waited for. Otherwise it is refused.
            place: where payloads belong.
        """
        self._keyring = keyring
        self._may_lag = may_lag
        self._place = place
        self._in_activity = False

    def with_context(self, context: SerializationContext) -> EncryptionCodec:
        """Return the codec of the workflow, or of the activity's workflow."""
        place = NOWHERE
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            place = Place(namespace=context.namespace, workflow_id=context.workflow_id or "")
        codec = EncryptionCodec(self._keyring, may_lag=self._may_lag, place=place)
        codec._in_activity = isinstance(context, ActivitySerializationContext)
        return codec

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each."""
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each; what is refused is replaced.

        Raises:
            UnknownKey: one is sealed with a key that this process may still be given.
        """
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        if purpose := (answering if self._in_activity else starting).get():
            stamped = Payload()
            stamped.CopyFrom(payload)
            stamped.metadata[PURPOSE] = purpose
            payload = stamped
        return seal(payload, self._keyring.newest(), self._place)

    def _opened(self, payload: Payload) -> Payload:
        try:
            found = unseal(payload, self._keyring)
        except UnknownKey as error:
            if self._may_lag:
                raise
            found = refusal(error.what)
        except Refused as error:
            found = refusal(str(error))
        if not was_refused(found) and not _belongs(place_of(payload), self._place):
            found = refusal("it was made for another workflow")
        if self._in_activity:
            opened.set((*opened.get(), found.metadata.get(PURPOSE, b"")))
        return found


def _belongs(named: Place, here: Place) -> bool:
    if named == here:
        return True
    scheduled = _ROUND.fullmatch(here.workflow_id)
    return scheduled is not None and named == Place(namespace=here.namespace, workflow_id=scheduled[1])
