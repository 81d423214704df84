"""What to look at before training, in sentences: found in a profile and in its sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mltemporal.profiling.describing import cut
from mltemporal.profiling.kinds import NUMERIC
from mltemporal.profiling.profiles import ColumnProfile

if TYPE_CHECKING:
    import numpy as np

RARE_CLASS = 0.01
SAME = 0.999
"""A feature whose correlation with the target, or share of right guesses, is beyond this gives it away."""

_NAMED = 8
_CLASSES = 20
_CATEGORIES = 100
_ENOUGH = 50


def warnings_about(
    columns: Sequence[ColumnProfile], sample: Any, *, rows: int, different: int, target: str | None
) -> tuple[str, ...]:
    """Return the sentences, the target's first.

    Args:
        sample: some of the rows or all, a ``pyarrow.Table``; the column ``v3`` is that of ``columns[3]``.
        rows: of the whole table.
        different: how many different rows there are.
        target: the column to be predicted.
    """
    if not rows:
        return ("the table has no rows",)
    found: list[str] = []
    # A few rows that stand there twice do not keep a column from being an id.
    apart = different if different > 0.9 * rows else rows
    place = next((index for index, column in enumerate(columns) if column.name == target), None)
    if place is not None:
        found += _about_target(columns[place], rows, apart)
        found += _about_leaks(columns, place, sample)
    features = [column for column in columns if column.name != target]
    empty = [column for column in columns if column.nulls == rows]
    constant = [column for column in features if column.distinct == 1]
    ids = [column for column in features if _is_id(column, apart)]
    infinite = [column for column in columns if column.infinite]
    if empty:
        found.append(f"{_listed(empty)} {_have(empty)} no values at all")
    if constant:
        found.append(f"{_listed(constant)} {_have(constant)} one value only: nothing can be learnt from it")
    if ids:
        found.append(f"{_listed(ids)} {_have(ids)} another value in each row, as an id does")
    if infinite:
        found.append(f"{_listed(infinite)} {_have(infinite)} infinite values")
    if different < rows:
        found.append(f"{rows - different:,} of {rows:,} rows are duplicates of others")
    return tuple(found)


def _about_target(target: ColumnProfile, rows: int, apart: int) -> Iterator[str]:
    name = repr(target.name)
    if target.nulls:
        yield f"the target {name} is missing in {target.nulls:,} of {rows:,} rows"
    if target.distinct == 1:
        yield f"the target {name} has one value only: there is nothing to learn"
    if target.kind in ("text", "integer") and _is_id(target, apart):
        yield f"the target {name} has another value in each row, as an id does"
    present = rows - target.nulls
    is_class = target.kind in ("text", "boolean", "integer") and 1 < (target.distinct or 0) <= _CLASSES
    rare = [top for top in target.top if top.count < RARE_CLASS * present] if is_class else []
    if rare:
        shown = ", ".join(f"{top.value!r} ({top.count:,} rows)" for top in rare[:_NAMED])
        yield f"classes of the target {name} that stand in less than 1 % of the rows: {shown}"


def _is_id(column: ColumnProfile, rows: int) -> bool:
    """Whether each of ``rows`` different rows has a value of its own, as only an id has."""
    if rows < _ENOUGH or column.nulls or column.distinct is None:
        return False
    unique = column.distinct >= (0.95 if column.approximate else 1) * rows
    if column.kind == "text":
        return unique
    if column.kind != "integer" or not unique:
        return False
    # Integers that are measured (a price, a time) may all differ as well; ids leave few gaps.
    return float(column.maximum or 0) - float(column.minimum or 0) < 2 * rows


def _about_leaks(columns: Sequence[ColumnProfile], place: int, sample: Any) -> Iterator[str]:
    """Yield a sentence for each feature that gives the target away."""
    target = columns[place]
    if target.kind == "other" or sample.num_rows < _ENOUGH:
        return
    values = sample.column(f"v{place}")
    numbers, codes = _as_numbers(values, target), _as_codes(values, target)
    for index, column in enumerate(columns):
        if index == place or column.kind == "other" or (column.distinct or 0) < 2:
            continue
        feature = sample.column(f"v{index}")
        if column.type == target.type and feature.equals(values):
            yield f"{column.name!r} equals the target {target.name!r} in every row: a leak?"
            continue
        other = _as_numbers(feature, column)
        if numbers is not None and other is not None and abs(_correlation(numbers, other)) > SAME:
            yield (
                f"{column.name!r} follows the target {target.name!r} almost exactly "
                f"(correlation {_correlation(numbers, other):.4f}): a leak?"
            )
            continue
        groups = _as_codes(feature, column)
        if codes is not None and groups is not None and _determines(groups, codes):
            yield f"{column.name!r} tells the target {target.name!r} in nearly every row: a leak?"


def _as_numbers(values: Any, column: ColumnProfile) -> np.ndarray | None:
    """Return numbers and booleans as floats, missing ones as NaN; None for the rest."""
    import numpy as np
    import pyarrow as pa

    if column.kind not in (*NUMERIC, "boolean"):
        return None
    plain = values.cast(pa.int8()) if column.kind == "boolean" else values
    numbers: np.ndarray = plain.cast(pa.float64(), safe=False).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _as_codes(values: Any, column: ColumnProfile) -> np.ndarray | None:
    """Return a number for each different value, -1 where it is missing; None where there are many."""

    if (
        column.kind not in ("text", "boolean", "integer", "number")
        or not 1 < (column.distinct or 0) <= _CATEGORIES
    ):
        return None
    codes: np.ndarray = values.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    return codes


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    import numpy as np

    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < _ENOUGH:
        return 0.0
    # Scaled first, so that squares of very large numbers stay finite.
    left, right = (each[both] / (np.abs(each[both]).max() or 1.0) for each in (left, right))
    if not (left.std() > 0 and right.std() > 0):
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _determines(groups: np.ndarray, classes: np.ndarray) -> bool:
    """Whether to know the group is to know the class, in almost every row and not by chance."""
    import numpy as np

    present = (groups >= 0) & (classes >= 0)
    groups, classes = groups[present], classes[present]
    rows = len(groups)
    if rows < _ENOUGH or rows < 10 * (groups.max() + 1):
        return False
    table = np.zeros((groups.max() + 1, classes.max() + 1), dtype=np.int64)
    np.add.at(table, (groups, classes), 1)
    guessed, usual = table.max(axis=1).sum() / rows, table.sum(axis=0).max() / rows
    return bool(guessed >= SAME and usual < 0.99)


def _listed(columns: Iterable[ColumnProfile]) -> str:
    names = [repr(cut(column.name)) for column in columns]
    more = len(names) - _NAMED
    if more > 0:
        return f"{', '.join(names[:_NAMED])} and {more} more columns"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _have(columns: Sequence[ColumnProfile]) -> str:
    return "has" if len(columns) == 1 else "have"
