"""Times as the API server writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> str:
    """Return the present as ``metav1.Time``: RFC 3339, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """Return the present as ``metav1.MicroTime``: RFC 3339, six digits."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def shifted(seconds: float) -> str:
    """Return the time ``seconds`` from now, in whole seconds."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nano(time_ns: int) -> str:
    """Return ``time_ns`` (since 1970) as the kubelet stamps log lines: RFC 3339, nine digits."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"


def seconds_since_1970(text: str) -> int:
    """Parse RFC 3339 and drop the fraction.

    Raises:
        ValueError: it is no such time, or it has no time zone.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return int(moment.timestamp())
