"""Whether a table is as expected: one streaming query, every broken check in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.errors import InvalidRequest
from mltemporal.profiling.describing import cut, moment_text
from mltemporal.profiling.expectations import check_fit, moment_of
from mltemporal.profiling.kinds import TIMES
from mltemporal.profiling.scanning import Scan, scanning, values_of
from mltemporal.specs.data import Column, Expectation

_ALLOWED_SHOWN = 5


def broken_expectations(
    expectations: Sequence[Expectation],
    files: Files,
    *,
    memory_mib: int = 512,
    threads: int = 2,
    scratch: str | None = None,
    beat: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Return a sentence for each check that the table breaks, in the order of the expectations.

    All rows are looked at, and uniqueness is exact. It only reads. A column that is not there, or is of
    another type, breaks its expectation.

    Args:
        expectations: as `parse_expectations` returns them.
        files: the data files.
        memory_mib: the engine's buffers, in MiB; what does not fit goes to ``scratch``.
        threads: how many the engine may use.
        scratch: a folder for what does not fit in memory; by default the system's temporary one.
        beat: called about twice a second from the calling thread; an exception of it ends the work.

    Raises:
        InvalidDataset: the files do not parse.
        InvalidRequest: memory or scratch space does not suffice.
        ServiceUnavailable: S3 does not answer.
    """
    if not expectations:
        return ()
    with scanning(files, memory_mib=memory_mib, threads=threads, scratch=scratch, beat=beat) as scan:
        checks = [list(_checks(expected, scan)) for expected in expectations]
        asked = [question for each in checks for check in each for question in check.questions]
        params = [param for each in checks for check in each for param in check.params]
        rows, *answers = scan.fetch(f"SELECT {', '.join(['count(*)', *asked])} FROM rows", params)[0]  # noqa: S608
    left = iter(answers)
    sentences = []
    for each in checks:
        for check in each:
            sentence = check.judge(rows, *[next(left) for _ in check.questions])
            if sentence:
                sentences.append(sentence)
    return tuple(sentences)


@dataclass(frozen=True)
class _Check:
    """What is asked of the rows, and what the answers (after the number of rows) say; '' is well."""

    judge: Callable[..., str]
    questions: tuple[str, ...] = ()
    params: tuple[Any, ...] = ()


def _checks(expected: Expectation, scan: Scan) -> Iterator[_Check]:
    place = next((i for i, column in enumerate(scan.columns) if column.name == expected.column), None)
    name = repr(expected.column)
    if place is None:
        yield _said(f"there is no column {name}")
        return
    column, kind = scan.columns[place], scan.kinds[place]
    value = values_of(kind, place)
    if _bad_type(expected, kind):
        yield _said(f"{name} is {column.type}, not of type {expected.type}")
        return  # bounds and values are those of another type
    try:
        check_fit(expected, kind)
    except InvalidRequest as error:  # expectations that were kept with a dataset meet another one
        yield _said(error.what)
        return
    if expected.type == "integer" and kind == "number":  # as pandas stores integers with missing ones
        yield _whole_check(name, value)
    shown = _Shown(column, kind)
    if expected.null_share is not None:
        yield _null_check(name, value, expected.null_share)
    if expected.minimum is not None:
        yield _bound_check(name, value, "<", expected.minimum, shown)
    if expected.maximum is not None:
        yield _bound_check(name, value, ">", expected.maximum, shown)
    if expected.unique:
        yield _unique_check(name, value)
    if expected.allowed is not None:
        yield _allowed_check(name, value, expected.allowed, kind, shown)


@dataclass(frozen=True)
class _Shown:
    """How values of a column are written in a sentence."""

    column: Column
    kind: str

    def __call__(self, value: Any) -> str:
        if self.kind in TIMES:
            return str(moment_text(value, self.kind, self.column.type))
        return repr(cut(value)) if isinstance(value, str) else str(value)


def _said(sentence: str) -> _Check:
    """Return a check that is broken without a look at the rows."""
    return _Check(lambda *_: sentence)


def _bad_type(expected: Expectation, kind: str) -> bool:
    if expected.type is None or expected.type == kind:
        return False
    return (expected.type, kind) not in (("number", "integer"), ("integer", "number"))


def _whole_check(name: str, value: str) -> _Check:
    def judge(rows: int, count: int, least: Any) -> str:
        return f"{name}: {count:,} of {rows:,} values are no whole numbers (least {least})" if count else ""

    broken = f"FILTER ({value} != trunc({value}))"
    return _Check(judge, (f"count(*) {broken}", f"min({value}) {broken}"))


def _null_check(name: str, value: str, share: float) -> _Check:
    def judge(rows: int, present: int) -> str:
        missing = rows - present
        if missing <= share * rows:
            return ""
        return (
            f"{name}: {missing:,} of {rows:,} values are missing ({missing / rows:.2%}), "
            f"more than {share:.2%}"
        ).replace("%", " %")

    return _Check(judge, (f"count({value})",))


def _bound_check(name: str, value: str, sign: str, bound: float | str, shown: _Shown) -> _Check:
    side, extreme, word = ("below", "min", "least") if sign == "<" else ("above", "max", "greatest")
    limit = moment_of(bound) if isinstance(bound, str) else bound
    said = int(bound) if isinstance(bound, float) and bound.is_integer() else bound  # JSON gave 0 back as 0.0

    def judge(rows: int, count: int, most: Any) -> str:
        if not count:
            return ""
        return f"{name}: {count:,} of {rows:,} values are {side} {said} ({word} {shown(most)})"

    return _Check(judge, (f"count(*) FILTER ({value} {sign} ?)", f"{extreme}({value})"), (limit,))


def _unique_check(name: str, value: str) -> _Check:
    def judge(rows: int, present: int, distinct: int) -> str:
        if present == distinct:
            return ""
        return f"{name}: {present - distinct:,} of {rows:,} values repeat another: not unique"

    return _Check(judge, (f"count({value})", f"count(DISTINCT {value})"))


def _allowed_check(name: str, value: str, allowed: tuple[Any, ...], kind: str, shown: _Shown) -> _Check:
    values = [moment_of(each) for each in allowed] if kind in TIMES else list(allowed)
    marks = ", ".join("?" * len(values))
    unfit = f"{value} NOT IN ({marks})"

    def judge(rows: int, count: int, examples: list[Any]) -> str:
        if not count:
            return ""
        return (
            f"{name}: {count:,} of {rows:,} values are not allowed: "
            f"{', '.join(shown(each) for each in sorted(examples))}"
        )

    # The least ones, so that the sentence is the same each time.
    examples = f"min(DISTINCT {value}, {_ALLOWED_SHOWN}) FILTER ({unfit})"
    return _Check(judge, (f"count(*) FILTER ({unfit})", examples), (*values, *values))
