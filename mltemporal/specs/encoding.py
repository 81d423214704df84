"""The one JSON form of everything that crosses a process border."""

from __future__ import annotations

import threading
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
        return _decoder(kind).decode(text)
    except (UnicodeDecodeError, RecursionError) as error:  # damaged bytes; lists a thousand deep
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


def converted(value: Any, kind: type[T]) -> T:
    """Return the ``kind`` that plain dictionaries and lists describe.

    Raises:
        msgspec.ValidationError: they describe something else.
    """
    _decoder(kind)
    return msgspec.convert(value, kind)


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of a kind, made once and by one thread.

    Two threads that have msgspec look into one dataclass for the first time at once end the process
    by SIGSEGV (seen with 0.22).
    """
    found = _decoders.get(kind)
    if found is None:
        with _making:
            found = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return found


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()
