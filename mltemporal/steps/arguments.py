"""Arguments of steps, checked where they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltemporal.errors import InvalidRequest

STRATEGIES = ("mean", "median", "most_frequent", "constant")
Names = str | Sequence[str]


def share(what: str, value: Any) -> float:
    """Return a share between 0 and 1, both excluded.

    Raises:
        InvalidRequest: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InvalidRequest(f"{what} is {value!r}", "pass a share between 0 and 1, such as 0.2")
    return float(value)


def names(word: str, value: Names | None) -> tuple[str, ...] | None:
    """Return columns as a tuple; None stands for a choice of the step's own.

    Raises:
        InvalidRequest: there are none, one is no text, or one is named twice.
    """
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong or not names:
        raise InvalidRequest(
            f"{word} got {wrong[0]!r} as a column" if wrong else f"{word} got no columns",
            "name columns with text",
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidRequest(f"{word} names column {repeated[0]!r} twice", "name each column once")
    return names


def mapping(word: str, value: Any) -> dict[str, Any]:
    """Return a mapping by column.

    Raises:
        InvalidRequest: it is none.
    """
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidRequest(f"{word} got {value!r}", f'pass a mapping by column: {word}({{"column": ...}})')
    return dict(value)


def some(word: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping that is not empty.

    Raises:
        InvalidRequest: it is.
    """
    if not value:
        raise InvalidRequest(f"{word} names no column", f'write {word}({{"column": ...}})')
    return value


def text(word: str, value: Any) -> str:
    """Return text that is not blank.

    Raises:
        InvalidRequest: it is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{word} got {value!r} instead of text", f"write {word} with text in quotes")
    return value


def type_name(kind: Any) -> str:
    """Return the name of a type that is given as text, as a Python type or as NumPy's."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def one_of(word: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return a word that is among the ``allowed``.

    Raises:
        InvalidRequest: it is not.
    """
    if value not in allowed:
        raise InvalidRequest(
            f"{word}({name}={value!r}) is not known", f"{name} is one of {', '.join(allowed)}"
        )
    return str(value)
