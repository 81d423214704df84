"""Which column to predict, and whether that is classification or regression.

The rules are few, so that a person can foresee the choice:

1. A source that names its target itself (a scikit-learn Bunch) is believed.
2. Otherwise the one column with a conventional name (`CONVENTIONAL_NAMES`) is the target.
3. Otherwise the last column is, when it is the only one that holds classes.
4. Anything else is ambiguous: an error lists the candidates.

Columns that are constant, hold dates or nested values, or identify the row (text or integers
that are unique per row) are no candidates; a conventional name lifts the last for numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.errors import InvalidDataset

if TYPE_CHECKING:
    import pandas as pd

CLASSIFICATION = "classification"
REGRESSION = "regression"

MAX_NUMERIC_CLASSES = 20
MAX_NUMERIC_CLASS_SHARE = 0.05

CONVENTIONAL_NAMES = frozenset(
    (
        *("target", "label", "labels", "y", "class", "outcome", "response", "species", "survived"),
        *("diagnosis", "churn", "churned", "price", "sale_price", "saleprice"),
    )
)
"""Compared in lower case. ``y`` does not count beside a ``z``: then it is a coordinate."""

_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class TargetChoice:
    """What is predicted, how, and the reason in a sentence for a person."""

    target: str
    task: str
    """``classification`` or ``regression``."""
    why: str


def task_of(series: pd.Series, name: str) -> tuple[str, str]:
    """Return the task that predicting ``series`` is, and why, as a sentence.

    Classification when the values are booleans, text or categories, or whole numbers with two
    distinct values or with at most 20 that are under 5 % of the rows; otherwise regression.

    Raises:
        InvalidDataset: the values are dates, durations or nested, or text that is unique per row.
    """
    task, what = _judge(series, name)
    return task, f"predicting {name!r} ({what}): {task}"


def find_target(frame: pd.DataFrame, *, names_hint: str | None = None) -> TargetChoice:
    """Choose the column to predict by the rules above; ``names_hint`` is what the source itself says.

    Raises:
        InvalidDataset: no column can be predicted, or several could be; lists the candidates.
    """
    if names_hint is not None:
        return _chosen(frame, names_hint, "named by the dataset")
    lowered = {str(column).lower() for column in frame.columns}
    candidates = {
        str(column): kind
        for column in frame.columns
        if (kind := _candidate(frame[column], _is_conventional(str(column), lowered)))
    }
    conventional = [name for name in candidates if _is_conventional(name, lowered)]
    if len(conventional) == 1:
        return _chosen(frame, conventional[0], "a conventional name")
    last = str(frame.columns[-1])
    if not conventional and [name for name, kind in candidates.items() if kind == CLASSIFICATION] == [last]:
        return _chosen(frame, last, "last column, the only one with classes")
    raise _ambiguous(conventional or list(candidates))


def _chosen(frame: pd.DataFrame, name: str, how: str) -> TargetChoice:
    task, _ = _judge(frame[name], name)
    return TargetChoice(target=name, task=task, why=f"the target is {name!r}: {how}")


def _ambiguous(candidates: list[str]) -> InvalidDataset:
    if not candidates:
        return InvalidDataset(
            "no column can be predicted: each is constant, a date, nested, or unique per row",
            'name it: train(dataset, target="...")',
        )
    listed = ", ".join(repr(name) for name in candidates[:_LISTED])
    more = f" and {len(candidates) - _LISTED} more" if len(candidates) > _LISTED else ""
    return InvalidDataset(
        f"which column to predict is ambiguous; candidates are {listed}{more}",
        f'name it, for example train(dataset, target="{candidates[-1]}")',
    )


def _is_conventional(name: str, lowered: set[str]) -> bool:
    return name.lower() in CONVENTIONAL_NAMES and not (name.lower() == "y" and "z" in lowered)


def _candidate(series: pd.Series, conventional: bool) -> str | None:
    """Return the task, or None where the column is no candidate."""
    import pandas as pd

    series = _as_numbers(series)
    present = series.dropna()
    try:
        distinct = present.nunique()
    except TypeError:  # lists, dicts: unhashable
        return None
    if distinct < 2 or _is_time(series):
        return None
    if distinct == len(series) and not pd.api.types.is_float_dtype(series.dtype):
        numeric = pd.api.types.is_numeric_dtype(series.dtype)
        if not (conventional and numeric) and distinct > 2:
            return None
    return _judge(series, str(series.name))[0]


def _judge(series: pd.Series, name: str) -> tuple[str, str]:
    import pandas as pd

    series = _as_numbers(series)
    present = series.dropna()
    try:
        distinct = int(present.nunique())
    except TypeError as error:
        raise InvalidDataset(
            f"target {name!r} holds nested values, which cannot be predicted",
            "choose a column of numbers, text or booleans",
        ) from error
    if _is_time(series):
        raise InvalidDataset(
            f"target {name!r} holds dates or durations, which cannot be predicted as they are",
            "turn it into a number first, such as days since a start",
        )
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        if distinct == len(series) and distinct > 2:
            raise InvalidDataset(
                f"target {name!r} has another text in each of its {distinct:,} rows: nothing can be learnt",
                "choose a column whose values repeat, or one of numbers",
            )
        return CLASSIFICATION, f"{distinct} classes"
    few = distinct <= MAX_NUMERIC_CLASSES and distinct < MAX_NUMERIC_CLASS_SHARE * len(present)
    if (few or distinct == 2) and bool((present % 1 == 0).all()):
        return CLASSIFICATION, f"{distinct} whole-number classes"
    return REGRESSION, f"numbers, {distinct:,} distinct values"


def _as_numbers(series: pd.Series) -> pd.Series:
    """Return numbers that are kept as objects (decimals) as floats."""
    import pandas as pd

    kinds = ("integer", "floating", "mixed-integer-float", "decimal")
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) in kinds:
        return series.astype(float)
    return series


def _is_time(series: pd.Series) -> bool:
    import pandas as pd

    if series.dtype == object:
        return bool(
            pd.api.types.infer_dtype(series, skipna=True) in ("datetime", "date", "time", "timedelta")
        )
    return bool(pd.api.types.is_datetime64_any_dtype(series.dtype)) or series.dtype.kind == "m"
