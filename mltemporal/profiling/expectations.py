"""Expectations as a user writes them, checked against the columns before anything starts."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.profiling.kinds import KINDS, NUMERIC, TIMES, kind_of
from mltemporal.specs.data import Column, Expectation

_KEYS = {
    "type": "type",
    "min": "minimum",
    "max": "maximum",
    "null_share": "null_share",
    "unique": "unique",
    "allowed": "allowed",
}
_EXAMPLE = 'write expectations={"age": {"type": "integer", "min": 0, "max": 120, "null_share": 0.01}}'
_ALLOWED_MOST = 10_000


def parse_expectations(
    value: Mapping[str, Mapping[str, Any]] | Sequence[Expectation] | None,
    columns: Sequence[Column] | None,
) -> tuple[Expectation, ...]:
    """Return what is expected of the columns, in the order given.

    Args:
        value: a mapping of column names to checks (``type``, ``min``, ``max``, ``null_share``, ``unique``,
            ``allowed``), or `Expectation` objects; None expects nothing.
        columns: those of the table; None where they are not known yet, then names are not checked.

    Raises:
        InvalidRequest: a column or check is unknown, a value is of the wrong type, ``min`` is above
            ``max``, or a check does not fit the column's type.
    """
    if value is None:
        return ()
    if isinstance(value, Mapping):
        found = [_from_mapping(name, checks) for name, checks in value.items()]
    elif isinstance(value, list | tuple):
        found = [_whole(each) for each in value]
    else:
        raise InvalidRequest(f"expectations are {value!r}, no mapping of columns to checks", _EXAMPLE)
    kinds = None if columns is None else {column.name: kind_of(column.type) for column in columns}
    for each in found:
        if kinds is not None and each.column not in kinds:
            raise InvalidRequest(
                f"an expectation is about {each.column!r}, which is not a column", _near(each.column, kinds)
            )
        check_fit(each, each.type or (kinds or {}).get(each.column))
    return tuple(found)


def _from_mapping(name: object, checks: object) -> Expectation:
    if not isinstance(checks, Mapping):
        raise InvalidRequest(f"what is expected of {name!r} is {checks!r}, no mapping of checks", _EXAMPLE)
    for key in checks:
        if key not in _KEYS:
            raise InvalidRequest(f"{name!r} has the unknown check {key!r}", _near(str(key), _KEYS))
    if not checks:
        raise InvalidRequest(f"nothing is expected of {name!r}", f"name a check: {', '.join(_KEYS)}")
    return _whole(Expectation(column=str(name), **{_KEYS[key]: each for key, each in checks.items()}))


def _whole(given: object) -> Expectation:
    """Return the expectation with values that JSON keeps, after a look at each.

    Raises:
        InvalidRequest: a value is of the wrong type.
    """
    if not isinstance(given, Expectation):
        raise InvalidRequest(f"{given!r} is no Expectation", _EXAMPLE)
    name = given.column
    if given.type is not None and given.type not in KINDS:
        raise InvalidRequest(f"{name!r} is expected to be {given.type!r}", _near(str(given.type), KINDS))
    share = _scalar(given.null_share)
    if share is not None and (not _is_number(share) or not 0 <= share <= 1):
        raise InvalidRequest(
            f"null_share of {name!r} is {share!r}",
            "use a share of the rows, from 0 to 1",
        )
    if not isinstance(_scalar(given.unique), bool):
        raise InvalidRequest(f"unique of {name!r} is {given.unique!r}", "use True or False")
    return Expectation(
        column=name,
        type=given.type,
        minimum=_bound(name, "min", given.minimum),
        maximum=_bound(name, "max", given.maximum),
        null_share=None if share is None else float(share),
        unique=bool(given.unique),
        allowed=_allowed(name, given.allowed),
    )


def _bound(name: str, key: str, value: Any) -> float | str | None:
    value = _scalar(value)
    if value is None or _is_number(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and moment_of(value) is not None:
        return value
    raise InvalidRequest(
        f"{key} of {name!r} is {value!r}", "use a number, or a date such as '2026-01-31' for dates and times"
    )


def _allowed(name: str, values: Any) -> tuple[Any, ...] | None:
    if values is None:
        return None
    if isinstance(values, str | Mapping) or not isinstance(values, Collection):
        raise InvalidRequest(f"allowed of {name!r} is {values!r}", 'use a list of values, e.g. ["a", "b"]')
    plain = [_scalar(value) for value in values]
    if isinstance(values, set | frozenset):
        plain.sort(key=lambda value: (type(value).__name__, value if _is_number(value) else str(value)))
    for value in plain:
        if not isinstance(value, str | bool) and not _is_number(value):
            raise InvalidRequest(
                f"allowed of {name!r} has {value!r}",
                "use texts, numbers, True and False",
            )
    if not plain or len(plain) > _ALLOWED_MOST:
        raise InvalidRequest(
            f"allowed of {name!r} has {len(plain):,} values", f"use 1 to {_ALLOWED_MOST:,} values"
        )
    if len({isinstance(value, str) for value in plain}) > 1:
        raise InvalidRequest(f"allowed of {name!r} mixes texts with other values", "use values of one type")
    return tuple(plain)


def check_fit(expected: Expectation, kind: str | None) -> None:
    """Refuse a check that says nothing about values of the column's kind.

    Args:
        kind: one of `KINDS` or ``other``; None where it is not known.

    Raises:
        InvalidRequest: names column, check and kind.
    """
    name, low, high = expected.column, expected.minimum, expected.maximum
    for key, bound in (("min", low), ("max", high)):
        if bound is None or kind is None:
            continue
        if kind not in (*NUMERIC, *TIMES):
            raise InvalidRequest(
                f"{key} of {name!r} does not fit: the column is {_called(kind)}",
                "min and max are for numbers, dates and times",
            )
        if isinstance(bound, str) != (kind in TIMES):
            wanted = "a date or time such as '2026-01-31'" if kind in TIMES else "a number"
            raise InvalidRequest(
                f"{key} of {name!r} is {bound!r}, but the column is {_called(kind)}", f"use {wanted}"
            )
    if low is not None and high is not None:
        if isinstance(low, str) != isinstance(high, str):
            raise InvalidRequest(f"min {low!r} and max {high!r} of {name!r} differ in type", "use one type")
        if _comparable(low) > _comparable(high):
            raise InvalidRequest(f"min of {name!r}, {low!r}, is above max, {high!r}", "swap them")
    if expected.allowed is not None and kind is not None:
        _check_allowed(expected, expected.allowed, kind)
    if kind == "other" and expected.unique:
        raise InvalidRequest(
            f"unique of {name!r} does not fit: the column is {_called(kind)}",
            "only null_share fits it",
        )


def _check_allowed(expected: Expectation, allowed: tuple[Any, ...], kind: str) -> None:
    fitting = {
        "text": str,
        "date": str,
        "timestamp": str,
        "boolean": bool,
        "integer": int | float,
        "number": int | float,
    }.get(kind)
    for value in allowed:
        misfit = (
            fitting is None
            or not isinstance(value, fitting)
            or (isinstance(value, bool) != (kind == "boolean"))
        )
        if misfit or (kind in TIMES and moment_of(value) is None):
            raise InvalidRequest(
                f"allowed of {expected.column!r} has {value!r}, but the column is {_called(kind)}",
                "use values of the column's type",
            )


def moment_of(text: str) -> int | None:
    """Return an ISO date or time in microseconds since 1970 (UTC without a zone); None for other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _comparable(bound: float | str) -> float:
    return bound if not isinstance(bound, str) else float(moment_of(bound) or 0)


def _scalar(value: Any) -> Any:
    """Return numpy's numbers as Python's own."""
    return value.item() if hasattr(value, "item") and not isinstance(value, date) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _called(kind: str) -> str:
    return "of a type that has no order" if kind == "other" else f"of type {kind}"


def _near(name: object, known: Collection[str]) -> str:
    lowered = {each.lower(): each for each in known}
    near = [lowered[each] for each in difflib.get_close_matches(str(name).lower(), list(lowered), n=3)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, list(known)[:10]))
    return f"there are {shown}" + (f" and {len(known) - 10} more" if len(known) > 10 else "")
