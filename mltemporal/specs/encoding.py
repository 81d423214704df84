"""The one JSON form of everything that crosses a process border."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def encode(value: Any) -> str:
    """Return ``value`` (a dataclass of this module, or JSON-able) as JSON text."""
    return msgspec.json.encode(value).decode()


def decode(text: str | bytes, kind: type[T]) -> T:
    """Return the ``kind`` that `encode` wrote.

    Raises:
        msgspec.DecodeError: the text is no JSON, or does not fit ``kind``.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (UnicodeDecodeError, RecursionError) as error:  # damaged bytes; lists a thousand deep
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error
