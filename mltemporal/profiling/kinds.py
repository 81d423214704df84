"""What kind of values a column holds, told from arrow's name of its type."""

from __future__ import annotations

import re
from typing import Any

from mltemporal.specs.data import Column

KINDS = ("integer", "number", "text", "boolean", "date", "timestamp")
"""The kinds that can be asked for; everything else (lists, bytes, times of day …) is ``other``."""

NUMERIC = ("integer", "number")
TIMES = ("date", "timestamp")

_NAMES = {
    "integer": re.compile(r"u?int(8|16|32|64)"),
    "number": re.compile(r"halffloat|float|double|decimal\d*\(.*"),
    "text": re.compile(r"(large_)?string(_view)?|(large_)?utf8"),
    "boolean": re.compile(r"bool"),
    "date": re.compile(r"date(32|64)\[.*"),
    "timestamp": re.compile(r"timestamp\[.*"),
}
_DICTIONARY = re.compile(r"dictionary<values=(.*), indices=")


def kind_of(type: str) -> str:
    """Return one of `KINDS` or ``other`` for arrow's name of a type, e.g. ``date`` for ``date32[day]``."""
    packed = _DICTIONARY.match(type)
    if packed:
        return kind_of(packed[1])
    return next((kind for kind, name in _NAMES.items() if name.fullmatch(type)), "other")


def columns_of(schema: Any) -> tuple[Column, ...]:
    """Return the columns of an arrow schema, or of a mapping of names to arrow types."""
    types = schema if isinstance(schema, dict) else {field.name: field.type for field in schema}
    return tuple(Column(name=name, type=str(each)) for name, each in types.items())
