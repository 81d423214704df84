"""One column's profile, from what was counted over all rows and from the sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mltemporal.profiling.kinds import NUMERIC, TIMES
from mltemporal.profiling.profiles import QUANTILES, ColumnProfile, Histogram, Top
from mltemporal.profiling.sampling import TEXT_KEPT
from mltemporal.specs.data import Column

if TYPE_CHECKING:
    import numpy as np

_TEXT_SHOWN = 80
_BINS, _TOP = 20, 10
_BINS_BRIEF, _TOP_BRIEF = 10, 3
_LISTED_NUMBERS = 20
HUGE = 1e150
"""Numbers beyond count as infinite: their squares are."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What was counted of a column over all rows; times are microseconds since 1970."""

    present: int
    distinct: int | None = None
    finite: int | None = None
    minimum: Any = None
    maximum: Any = None
    mean: Any = None
    std: Any = None


def described(
    column: Column,
    kind: str,
    totals: Totals,
    sampled: Any,
    *,
    rows: int,
    whole: bool,
    counts: dict[Any, int] | None,
    brief: bool,
) -> ColumnProfile:
    """Return the profile of one column.

    Args:
        sampled: its values in the sample, an arrow array; None for kinds that are not compared.
        rows: of the whole table.
        whole: whether the sample is the whole table.
        counts: how often each of its values stands, where they are few.
        brief: keep less, since there are very many columns.
    """
    nulls = rows - totals.present
    if sampled is None:
        return ColumnProfile(name=column.name, type=column.type, kind=kind, nulls=nulls)
    distinct, approximate = _distinct(totals, sampled, whole, counts)
    low, high = totals.minimum, totals.maximum
    numbers = _numbers(sampled, kind)
    listed = kind in ("text", "boolean") or distinct <= _LISTED_NUMBERS
    if listed and counts is None:
        share = totals.present / max(1, len(sampled) - sampled.null_count)
        counts = {value: round(count * share) for value, count in _counted(sampled)}
    return ColumnProfile(
        name=column.name,
        type=column.type,
        kind=kind,
        nulls=nulls,
        distinct=distinct,
        approximate=approximate,
        minimum=moment_text(low, kind, column.type) if kind in TIMES else _plain(low),
        maximum=moment_text(high, kind, column.type) if kind in TIMES else _plain(high),
        mean=_rounded(totals.mean),
        std=_rounded(totals.std),
        quantiles=_quantiles(numbers) if kind in NUMERIC else (),
        infinite=totals.present - totals.finite if totals.finite is not None else 0,
        histogram=_histogram(
            numbers,
            rows / max(1, len(sampled)),
            _BINS_BRIEF if brief else _BINS,
            whole_numbers=kind == "integer",
        ),
        top=_top(counts or {}, column, kind, _TOP_BRIEF if brief else _TOP) if listed else (),
    )


def moment_text(microseconds: int | None, kind: str, type: str) -> str | None:
    """Return a date or time as ISO text; those with a zone in UTC."""
    if microseconds is None:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:  # beyond the year 9999, where Python's calendar ends
        return f"{microseconds / 31_556_952e6 + 1970:.0f}"
    if kind == "date":
        return moment.date().isoformat()
    return moment.isoformat() if "tz=" in type else moment.replace(tzinfo=None).isoformat()


def cut(value: object) -> str:
    """Return a value as text of at most 80 characters."""
    text = str(value)
    return text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"


def _counted(sampled: Any) -> Iterator[tuple[Any, int]]:
    import pyarrow.compute as pc

    counts = pc.value_counts(sampled.drop_null())
    return zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)


def _distinct(totals: Totals, sampled: Any, whole: bool, counts: dict[Any, int] | None) -> tuple[int, bool]:
    """Return the number of different values, and whether it is an estimate."""
    import pyarrow.compute as pc

    if counts is not None:
        return len(counts), False
    seen = pc.count_distinct(sampled, mode="only_valid").as_py()
    if whole and not _was_cut(sampled):
        return seen, False
    return min(totals.present, max(totals.distinct or 0, seen)), True


def _was_cut(sampled: Any) -> bool:
    """Whether texts in the sample may be only the beginnings of longer ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_string(sampled.type) or pa.types.is_large_string(sampled.type)):
        return False
    return (pc.max(pc.utf8_length(sampled)).as_py() or 0) >= TEXT_KEPT


def _numbers(sampled: Any, kind: str) -> np.ndarray | None:
    """Return the sample's finite numbers, times in seconds; None for what is no number."""
    import numpy as np
    import pyarrow as pa

    if kind not in (*NUMERIC, *TIMES):
        return None
    values: np.ndarray = sampled.drop_null().cast(pa.float64(), safe=False).to_numpy()
    values = values[np.abs(values) < HUGE]
    return values / 1e6 if kind in TIMES else values


def _quantiles(numbers: np.ndarray | None) -> tuple[float, ...]:
    import numpy as np

    if numbers is None or not len(numbers):
        return ()
    found = (_rounded(value) for value in np.quantile(numbers, QUANTILES))
    return tuple(value if value is not None else 0.0 for value in found)


def _histogram(
    numbers: np.ndarray | None, scale: float, bins: int, *, whole_numbers: bool
) -> Histogram | None:
    import numpy as np

    if numbers is None or not len(numbers):
        return None
    least, low, high, most = (float(value) for value in np.quantile(numbers, (0, 0.05, 0.95, 1)))
    # A single outlier would leave one bar; what lies far outside is counted at the edge.
    low, high = max(least, low - (high - low)), min(most, high + (high - low))
    if not high > low:
        low, high = least, most
    if not (high > low and math.isfinite(high - low)):
        return Histogram(low=low, high=high, counts=(round(len(numbers) * scale),))
    if whole_numbers and high - low < bins:  # a bar for each
        bins, low, high = int(high - low) + 1, low - 0.5, high + 0.5
    counts, _ = np.histogram(np.clip(numbers, low, high), bins=bins, range=(low, high))
    return Histogram(low=low, high=high, counts=tuple(round(count * scale) for count in counts))


def _top(counts: dict[Any, int], column: Column, kind: str, limit: int) -> tuple[Top, ...]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))[:limit]
    return tuple(
        Top(
            value=cut(moment_text(value, kind, column.type) if kind in TIMES else _plain(value)),
            count=count,
        )
        for value, count in ordered
    )


def _plain(value: Any) -> Any:
    """Return a number without what JSON does not know; whole numbers stay whole where they are exact."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


def _rounded(value: Any) -> float | None:
    """Return six significant digits: a sample knows no more, and thousand columns stay small."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.6g}")
