"""Names that people write, compared with those that exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from mltemporal.errors import InvalidRequest

HIDDEN = "__mlt_"
"""How the names of columns begin that the engine adds on the way and takes away in the end."""
TEST = HIDDEN + "test"
"""Whether the row is a test row."""
ROW = HIDDEN + "row"
"""The row's number in its shard."""
_LISTED = 15


def unknown(what: str, name: str, known: Collection[str]) -> InvalidRequest:
    """Return the error for a ``name`` that is not among the ``known``; ``what`` opens its sentence."""
    lowered = {each.lower(): each for each in known}
    near = [
        lowered[match] for match in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)
    ]
    if near:
        return InvalidRequest(what, f"did you mean {' or '.join(map(repr, near))}?")
    return InvalidRequest(what, f"there are {listed(known)}" if known else "there are none")


def listed(names: Collection[str]) -> str:
    """Return the first names and how many more there are."""
    shown = ", ".join(map(repr, list(names)[:_LISTED]))
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown


def shown(text: str, most: int = 80) -> str:
    """Return text for a message, on one line and shortened."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
