"""One payload, sealed with AES-256-GCM to the workflow that it belongs to.

A sealed payload says in clear which key and which workflow; both are authenticated with it::

    metadata: encoding = binary/mltemporal-sealed, key, namespace, workflow, purpose
    data:     12 bytes of nonce, then the ciphertext of the original payload

The purpose of what an activity is given and of what it answers names run, activity and type, so
that neither can stand for another of the same workflow. Elsewhere it is empty.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

from mltemporal.encryption.keyring import Key, Keyring
from mltemporal.errors import ServiceUnavailable

ENCODING = b"binary/mltemporal-sealed"
REFUSED = b"mltemporal/refused"
"""The encoding of what stands where a payload was refused; its data says why."""
PURPOSE = "mltemporal-purpose"
"""The key in an opened payload's metadata under which its purpose is found."""

_NONCE = 12


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a payload belongs."""

    namespace: str
    workflow_id: str


NOWHERE = Place(namespace="", workflow_id="")


class UnknownKey(ServiceUnavailable):
    """The key is not in this keyring, perhaps not yet; tried again."""


class Refused(Exception):
    """The payload was not made for this place by anybody who has the keys."""


def seal(payload: Payload, key: Key, place: Place) -> Payload:
    """Return ``payload`` sealed; its metadata may name a purpose."""
    inner = Payload()
    inner.CopyFrom(payload)
    purpose = inner.metadata.pop(PURPOSE, b"")
    nonce = os.urandom(_NONCE)
    tied = _tied(key.id.encode(), place.namespace.encode(), place.workflow_id.encode(), purpose)
    return Payload(
        metadata={
            "encoding": ENCODING,
            "key": key.id.encode(),
            "namespace": place.namespace.encode(),
            "workflow": place.workflow_id.encode(),
            "purpose": purpose,
        },
        data=nonce + AESGCM(key.secret).encrypt(nonce, inner.SerializeToString(), tied),
    )


def place_of(payload: Payload) -> Place:
    """Return where a sealed payload says that it belongs; true only once it is opened."""
    return Place(
        namespace=payload.metadata.get("namespace", b"").decode(errors="replace"),
        workflow_id=payload.metadata.get("workflow", b"").decode(errors="replace"),
    )


def unseal(payload: Payload, keyring: Keyring) -> Payload:
    """Return the original payload, with its purpose in the metadata.

    Raises:
        Refused: it is not sealed, or was changed since.
        UnknownKey: it is sealed with a key that is not in the keyring.
    """
    found = payload.metadata
    if found.get("encoding") != ENCODING:
        raise Refused("it is not encrypted")
    key_id = found.get("key", b"")
    key = keyring.find(key_id.decode(errors="replace"))
    if key is None:
        raise UnknownKey(
            f"something was encrypted with the key {key_id.decode(errors='replace')!r}, "
            f"which is not in {str(keyring.path)!r}",
            "give this process the newest keyring; a key that was retired cannot be had back",
        )
    purpose = found.get("purpose", b"")
    tied = _tied(key_id, found.get("namespace", b""), found.get("workflow", b""), purpose)
    nonce, ciphertext = payload.data[:_NONCE], payload.data[_NONCE:]
    try:
        opened = Payload.FromString(AESGCM(key.secret).decrypt(nonce, ciphertext, tied))
    except (InvalidTag, ValueError):
        raise Refused("it was changed, or made without the key") from None
    if purpose:
        opened.metadata[PURPOSE] = purpose
    return opened


def refusal(why: str) -> Payload:
    """Return what stands in the place of a payload that was refused."""
    return Payload(metadata={"encoding": REFUSED}, data=why.encode())


def was_refused(payload: Payload) -> bool:
    """Whether it stands in the place of a payload that was refused."""
    return payload.metadata.get("encoding") == REFUSED


def _tied(*parts: bytes) -> bytes:
    """Join so that no two sets of parts give the same bytes."""
    return b"mltemporal-1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
