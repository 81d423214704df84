"""Metrics of programs that cannot be changed: regular expressions that find them in the output.

They run in the worker, over whatever a job prints. Python's own engine may need ages for one line
(``(a+)+b``), and nothing else runs meanwhile; so RE2 looks, by pyarrow, whose time grows with
the line and no faster. It knows no look-around, no back-references and no verbose form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mltemporal.errors import InvalidTrainer
from mltemporal.progress import MAX_NAME_LENGTH, Line

MOST_PATTERNS = 100
MAX_PATTERN_LENGTH = 1000
_LONGEST_NUMBER = 100
_HOW = r"write it as r'loss=(\S+)'"


def check_patterns(metrics: Mapping[str, str]) -> None:
    """Refuse what finds no metric, and what could keep a worker from its work.

    Raises:
        InvalidTrainer: there are more than 100; a name or pattern is too long; a pattern is no regular
            expression of RE2, or has not exactly one group.
    """
    if len(metrics) > MOST_PATTERNS:
        raise InvalidTrainer(f"metrics has {len(metrics):,} patterns", f"give at most {MOST_PATTERNS}")
    for name, pattern in metrics.items():
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidTrainer(
                f"{str(name)[:40]!r} cannot name a metric",
                f"give 1 to {MAX_NAME_LENGTH} printable characters",
            )
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_LENGTH:
            raise InvalidTrainer(
                f"the pattern of metric {name!r} is no text of at most {MAX_PATTERN_LENGTH} characters", _HOW
            )
        try:
            groups = re.compile(pattern).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise InvalidTrainer(
                f"the pattern of metric {name!r} is no regular expression: {error}", _HOW
            ) from error
        if groups != 1:
            raise InvalidTrainer(f"the pattern of metric {name!r} has {groups} groups instead of one", _HOW)
        try:
            _found([""], pattern)
        except ValueError as error:
            raise InvalidTrainer(
                f"the pattern of metric {name!r} cannot be used: {error}",
                "leave out look-around, back-references and (?x): patterns are looked for by RE2, "
                "which cannot be held up by a line",
            ) from error


def match_patterns(texts: Sequence[str], patterns: Mapping[str, str]) -> list[Line | None]:
    """Return for each text the metrics that ``patterns`` (name to expression) find in it; None where none.

    A pattern that `check_patterns` would refuse (a job of an older version may have one) finds nothing.
    """
    found: list[dict[str, float | None]] = [{} for _ in texts]
    for name, pattern in patterns.items():
        try:
            caught = _found(texts, pattern)
        except ValueError:
            continue
        for metrics, text in zip(found, caught, strict=True):
            if text and len(text) <= _LONGEST_NUMBER:
                try:
                    metrics[name] = float(text)
                except ValueError:
                    continue  # the group caught words, and no number: an ordinary line
    return [Line(metrics=metrics) if metrics else None for metrics in found]


def _found(texts: Sequence[str], pattern: str) -> list[str | None]:
    """Return what the pattern's group catches first in each text.

    Raises:
        ValueError: RE2 does not know the pattern (pyarrow's ArrowInvalid is one).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    caught = pc.extract_regex(pa.array(texts, pa.string()), pattern=_with_name(pattern))
    values: list[str | None] = caught.field(0).to_pylist()
    return [
        value if found else None for value, found in zip(values, caught.is_valid().to_pylist(), strict=True)
    ]


def _with_name(pattern: str) -> str:
    """Return the pattern with a name for its one group: pyarrow finds groups by name only."""
    at, inside = 0, False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif inside:
            inside = character != "]"
        elif character == "[":
            inside = True
            at += len(re.match(r"\^?\]?", pattern[at + 1 :]).group())  # type: ignore[union-attr]
        elif character == "(" and pattern[at + 1 : at + 2] != "?":
            return f"{pattern[:at]}(?P<value>{pattern[at + 1 :]}"
        at += 1
    return pattern
