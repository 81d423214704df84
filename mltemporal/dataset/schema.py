"""Whether a table has the columns that a model was trained on, and of the same kinds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import Column

_KINDS = (
    (r"u?int\d+|halffloat|float|double|decimal\d*\(.*\)", "number"),
    (r"bool", "boolean"),
    (r"(large_)?string(_view)?|(large_)?utf8", "text"),
    (r"date(32|64)\[.*\]", "date"),
    (r"timestamp\[.*\]", "timestamp"),
    (r"time(32|64)\[.*\]", "time"),
    (r"duration\[.*\]", "duration"),
    (r"(large_|fixed_size_)?binary.*", "binary"),
    (r"null", "nothing"),
)
_DICTIONARY = re.compile(r"dictionary<values=(.+?), indices=.*")
_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column that is of another kind here than in the training."""

    name: str
    expected: str
    """Its type in the training, in arrow's words."""
    found: str

    def __str__(self) -> str:
        expected, found = kind_of(self.expected), kind_of(self.found)
        return f"{self.name!r} is {found} ({self.found}) and was {expected} ({self.expected})"


@dataclass(frozen=True, kw_only=True)
class SchemaDifferences:
    """How a table's columns differ from those that a model was trained on."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    retyped: tuple[Retyped, ...] = ()

    @property
    def harmless(self) -> bool:
        """Whether a model can score the table: columns that it does not know are passed over."""
        return not self.missing and not self.retyped

    def __str__(self) -> str:
        said = []
        if self.missing:
            said.append(f"it lacks {_listed([repr(name) for name in self.missing])}")
        if self.retyped:
            said.append("; ".join(map(str, self.retyped[:_LISTED])))
        if self.extra:
            said.append(f"columns that the model does not know: {_listed([repr(n) for n in self.extra])}")
        return "; ".join(said)


def kind_of(type: str) -> str:
    """Return what arrow's name of a type means to a model.

    ``number``, ``text``, ``boolean``, ``date``, ``timestamp``, ``time``, ``duration``, ``binary``,
    ``nested``, or ``nothing`` for a column without any value. A dictionary is what its values are.
    """
    if found := _DICTIONARY.fullmatch(type):
        return kind_of(found.group(1))
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, type)), "nested")


def differences(
    expected: Sequence[Column], found: Sequence[Column], *, target: str | None = None
) -> SchemaDifferences:
    """Compare the columns ``found`` with those ``expected``; the ``target`` may be there or not.

    Whole numbers and fractions are the same kind, and a column without values fits every kind.
    """
    types = {column.name: column.type for column in found}
    wanted = {column.name: column.type for column in expected if column.name != target}
    return SchemaDifferences(
        missing=tuple(name for name in wanted if name not in types),
        extra=tuple(name for name in types if name not in wanted and name != target),
        retyped=tuple(
            Retyped(name=name, expected=type_, found=types[name])
            for name, type_ in wanted.items()
            if name in types and not _same_kind(type_, types[name])
        ),
    )


def check_schema(
    expected: Sequence[Column],
    found: Sequence[Column],
    *,
    target: str | None = None,
    features: Sequence[str] = (),
) -> SchemaDifferences:
    """Refuse a table that a model cannot score; return what differs without harm.

    Args:
        expected: the columns of the table that the model was trained on.
        features: those that it takes, where it is known: the others do not matter.

    Raises:
        InvalidDataset: names the columns that are missing or of another kind.
    """
    if features:
        types = {column.name: column for column in expected}
        expected = [types.get(name) or Column(name=name, type="null") for name in features]
    differing = differences(expected, found, target=target)
    if differing.harmless:
        return differing
    steps = []
    if differing.missing:
        lowered = {name.lower(): name for name in differing.extra}
        near = [
            f"{lowered[close[0]]!r} to {name!r}"
            for name in differing.missing
            if (close := difflib.get_close_matches(name.lower(), list(lowered), n=1))
        ]
        steps.append(f"rename {_listed(near)}" if near else "add the missing columns")
    if differing.retyped:
        steps.append("cast the columns that are of another kind, for example by preprocess()")
    shown = SchemaDifferences(missing=differing.missing, retyped=differing.retyped)
    raise InvalidDataset(
        f"the dataset has not the columns that the model was trained on: {shown}", ", and ".join(steps)
    )


def _same_kind(expected: str, found: str) -> bool:
    kinds = {kind_of(expected), kind_of(found)}
    return len(kinds) == 1 or "nothing" in kinds


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more
