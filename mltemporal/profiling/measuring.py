"""A profile in two passes over the files, in bounded memory.

The first counts and sums and is exact, but for the number of different values. The second takes a sample
of at most 100,000 rows, for quantiles and histograms; tables of fewer rows are looked at whole. On the way
it counts duplicates, by a 64-bit hash of the row, and the values of columns that have only a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mltemporal.dataset.files import Files
from mltemporal.profiling.describing import HUGE, Totals, described
from mltemporal.profiling.kinds import NUMERIC, TIMES
from mltemporal.profiling.profiles import Profile
from mltemporal.profiling.sampling import TEXT_KEPT, RowSample
from mltemporal.profiling.scanning import Scan, scanning, values_of
from mltemporal.profiling.suspicions import warnings_about

if TYPE_CHECKING:
    import pyarrow as pa

FEW_VALUES = 100
"""Values of columns with at most about this many are counted over all rows."""

_SAMPLE_ROWS = 100_000
_SAMPLE_CELLS = 8_000_000
_LEAST_ROWS = 10_000
_COLUMNS_AT_ONCE = 200  # what a thousand columns hold at once leaves no room in the memory allowed


def profile(
    files: Files,
    *,
    target: str | None = None,
    memory_mib: int = 512,
    threads: int = 2,
    scratch: str | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Profile:
    """Return what a table is like. Deterministic; it only reads.

    Args:
        files: the data files.
        target: the column to be predicted: what makes learning it suspicious is looked for.
        memory_mib: the engine's buffers, in MiB; what does not fit goes to ``scratch``.
        threads: how many the engine may use.
        scratch: a folder for what does not fit in memory; by default the system's temporary one.
        beat: called about twice a second from the calling thread; an exception of it ends the work.

    Raises:
        InvalidDataset: the files do not parse, or columns of several files do not go together.
        InvalidRequest: memory or scratch space does not suffice.
        ServiceUnavailable: S3 does not answer.
    """
    with scanning(files, memory_mib=memory_mib, threads=threads, scratch=scratch, beat=beat) as scan:
        wanted = max(_LEAST_ROWS, min(_SAMPLE_ROWS, _SAMPLE_CELLS // max(1, len(scan.columns))))
        passing = RowSample(wanted) if scan.streams else None
        rows, totals = _count(scan, passing)
        sample = _sample(scan, passing, rows, wanted)
        whole = sample.num_rows == rows
        duplicates, counts = _second_look(scan, [] if whole else _few_valued(scan, totals))
        columns = tuple(
            described(
                column,
                kind,
                totals[index],
                sample.column(f"v{index}") if kind != "other" else None,
                rows=rows,
                whole=whole,
                counts=counts.get(index),
                brief=len(scan.columns) > _COLUMNS_AT_ONCE,
            )
            for index, (column, kind) in enumerate(zip(scan.columns, scan.kinds, strict=True))
        )
        beat()
        return Profile(
            rows=rows,
            duplicates=rows - duplicates,
            columns=columns,
            warnings=warnings_about(columns, sample, rows=rows, different=duplicates, target=target),
            sampled=sample.num_rows,
            target=target,
        )


def _aggregates(kind: str, index: int) -> Iterator[tuple[str, str]]:
    """Yield what the first pass asks of a column: a field of `Totals`, and how it is computed."""
    yield "present", f"count(v{index})"
    if kind != "other":
        yield "distinct", f"approx_count_distinct(v{index})"
    if kind in TIMES:
        yield "minimum", f"min(v{index})"
        yield "maximum", f"max(v{index})"
    elif kind in NUMERIC:
        yield "finite", f"count(f{index})"
        yield "minimum", f"min(f{index})"
        yield "maximum", f"max(f{index})"
        yield "mean", f"avg(f{index})"
        yield "std", f"stddev_samp(f{index})"


def _prepared(kind: str, index: int) -> str:
    """Return a column's values, and of numbers those that are finite, as `_aggregates` names them."""
    value = values_of(kind, index)
    if kind == "number":
        return f"{value} AS v{index}, CASE WHEN abs({value}) < {HUGE} THEN {value} END AS f{index}"
    return f"{value} AS v{index}, {value} AS f{index}" if kind in NUMERIC else f"{value} AS v{index}"


def _count(scan: Scan, passing: RowSample | None) -> tuple[int, list[Totals]]:
    """Make the first pass: over all columns at once where rows can only be read whole."""
    rows, totals = 0, []
    indexes = list(range(len(scan.columns)))
    size = len(indexes) if scan.streams else _COLUMNS_AT_ONCE
    for start in range(0, len(indexes), size):
        chunk = [(index, scan.kinds[index]) for index in indexes[start : start + size]]
        asked = [(index, *each) for index, kind in chunk for each in _aggregates(kind, index)]
        counted = ", ".join(expression for *_, expression in asked)
        prepared = ", ".join(_prepared(kind, index) for index, kind in chunk)
        sql = f"SELECT count(*), {counted} FROM (SELECT {prepared} FROM rows)"  # noqa: S608
        rows, *found = scan.fetch(sql, watch=passing.add if passing else None)[0]
        facts: dict[int, dict[str, Any]] = {}
        for (index, field, _), value in zip(asked, found, strict=True):
            facts.setdefault(index, {})[field] = value
        totals += [Totals(**fields) for fields in facts.values()]
    return rows, totals


def _sample(scan: Scan, passing: RowSample | None, rows: int, wanted: int) -> pa.Table:
    """Return about ``wanted`` rows, or all where there are no more; ``v0`` … as `_values` has them."""
    chosen = [
        f"left({name}, {TEXT_KEPT}) AS v{index}" if kind == "text" else f"{name} AS v{index}"
        for index, kind in enumerate(scan.kinds)
        if kind != "other"
        for name in [values_of(kind, index)]
    ] or ["1 AS nothing"]
    sql = f"SELECT {', '.join(chosen)} FROM rows"  # noqa: S608
    if passing is not None:
        kept = passing.result()[1]
        return scan.table(sql) if kept is None else scan.table(sql, kept)
    if rows > wanted:
        sql += f" WHERE hash(file_at, row_at) < {int(wanted / rows * 2**64)}::UBIGINT"
    return scan.table(sql)


def _few_valued(scan: Scan, totals: list[Totals]) -> list[int]:
    countable = ("text", "boolean", "integer")
    return [
        index
        for index, kind in enumerate(scan.kinds)
        if kind in countable and (totals[index].distinct or 0) <= FEW_VALUES
    ]


def _second_look(scan: Scan, few: list[int]) -> tuple[int, dict[int, dict[Any, int]]]:
    """Return how many different rows there are, and how often each value of the columns ``few`` stands."""
    names = ", ".join(f"c{index}" for index in range(len(scan.columns)))
    counted = "".join(
        f", histogram({f'left(c{index}, {TEXT_KEPT})' if scan.kinds[index] == 'text' else f'c{index}'})"
        for index in few
    )
    different, *counts = scan.fetch(f"SELECT count(DISTINCT hash({names})){counted} FROM rows")[0]  # noqa: S608
    return different, {index: found or {} for index, found in zip(few, counts, strict=True)}
