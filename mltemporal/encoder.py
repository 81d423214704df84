"""`TableEncoder`: a mixed table as the numbers that gradient boosting takes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from mltemporal.errors import InvalidDataset

MAX_CATEGORIES = 255
"""As many as scikit-learn's histogram boosting takes."""

_ISO_DATE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?"
_LARGEST = 1e300
"""Stands for infinity: the booster subtracts neighbours when it chooses its bins."""

_KINDS_OF_OBJECTS = {
    **dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal", "boolean"), "number"),
    **dict.fromkeys(("datetime", "datetime64", "date"), "date"),
}
_DATE_PARTS = ("year", "month", "day", "weekday", "hour", "days")


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turns a DataFrame of mixed columns into one array of floats, missing values as NaN.

    Numbers and booleans stay. Text and categories become codes; what was never seen counts as
    missing, or as the group of rare ones where there is one. Dates become year, month, day,
    weekday, hour and days since 1970. Columns that cannot help are left out.

    Args:
        max_categories: most categories of a column; the rarer ones beyond count as one.

    Attributes:
        kinds_: column name to ``number``, ``date`` or ``category``, of the columns that are used.
        categories_: column name to its categories as text; the code is the position.
        grouped_: columns whose rarer categories share the code after the last.
        left_out_: column name to the reason, in words.
    """

    def __init__(self, max_categories: int = MAX_CATEGORIES) -> None:
        self.max_categories = max_categories

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: N803, ARG002
        """Learn each column's kind and categories from ``X``."""
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.kinds_: dict[str, str] = {}
        self.categories_: dict[str, list[str]] = {}
        self.grouped_: list[str] = []
        self.left_out_: dict[str, str] = {}
        for name in X.columns:
            self._learn(name, X[name])
        if not self.kinds_:
            reasons = "; ".join(f"{name!r}: {reason}" for name, reason in self.left_out_.items())
            raise InvalidDataset(f"no column is left to learn from ({reasons})", "add a column that varies")
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803
        """Return the array; columns of ``X`` that were not learnt from are ignored.

        Raises:
            InvalidDataset: a column that was learnt from is missing.
        """
        missing = [name for name in self.kinds_ if name not in X.columns]
        if missing:
            raise InvalidDataset(
                f"the table lacks columns that the model was trained on: {', '.join(map(repr, missing))}",
                "give the same columns as in the training",
            )
        columns = [part for name, kind in self.kinds_.items() for part in self._encode(name, kind, X[name])]
        array: np.ndarray = np.column_stack(columns)
        return array

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002
        """Return the name of each column of the array."""
        names: list[str] = []
        for name, kind in self.kinds_.items():
            names += [f"{name}.{part}" for part in _DATE_PARTS] if kind == "date" else [name]
        return np.array(names, dtype=object)

    def categorical_mask(self) -> list[bool]:
        """Return, for each column of the array, whether it holds codes of categories."""
        mask: list[bool] = []
        for kind in self.kinds_.values():
            mask += [False] * len(_DATE_PARTS) if kind == "date" else [kind == "category"]
        return mask

    def _learn(self, name: str, column: pd.Series) -> None:
        kind = _kind(column)
        if kind == "nested":
            self.left_out_[name] = "holds nested values"
            return
        counts = column.value_counts()
        counts = counts[counts > 0]  # a category without a row counts as 0
        if len(counts) == 0:
            self.left_out_[name] = "has no value"
        elif len(counts) == 1 and not column.isna().any():
            self.left_out_[name] = "is constant"
        elif kind == "category" and len(counts) > self.max_categories and len(counts) > column.count() / 2:
            self.left_out_[name] = "has a different text in most rows"
        else:
            self.kinds_[name] = kind
            if kind == "category":
                self._learn_categories(name, counts)

    def _learn_categories(self, name: str, counts: pd.Series) -> None:
        by_count = {str(value): -int(count) for value, count in counts.items()}
        kept = sorted(
            by_count, key=lambda value: (by_count[value], value)
        )  # ties by name: the same every time
        if len(kept) > self.max_categories:
            self.grouped_.append(name)
            kept = kept[: self.max_categories - 1]
        self.categories_[name] = kept

    def _encode(self, name: str, kind: str, column: pd.Series) -> list[np.ndarray]:
        if kind == "date":
            return _date_parts(column)
        if kind == "number":
            return [np.clip(_numbers(column), -_LARGEST, _LARGEST)]
        codes = {value: float(code) for code, value in enumerate(self.categories_[name])}
        unseen = float(len(codes)) if name in self.grouped_ else np.nan
        positions, values = pd.factorize(column)
        of_value = np.array([codes.get(str(value), unseen) for value in values] + [np.nan])
        return [of_value[positions]]  # a missing value's position is -1: the last


def _kind(column: pd.Series) -> str:
    kind = {"M": "date", "m": "number", "c": "nested"}.get(column.dtype.kind)
    if kind is None and pd.api.types.is_numeric_dtype(column.dtype):
        kind = "number"  # booleans included
    if kind is not None:
        return kind
    if column.dtype == object and not all(isinstance(value, Hashable) for value in column):
        return "nested"  # lists, dicts, arrays
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    kind = _KINDS_OF_OBJECTS.get(inferred, "category")
    return "date" if inferred == "string" and _all_dates(column) else kind


def _all_dates(column: pd.Series) -> bool:
    """Whether a column of text (from a CSV, say) holds nothing but ISO dates."""
    present = column.dropna()
    if not present.head(100).astype(str).str.fullmatch(_ISO_DATE).all():
        return False
    return bool(pd.to_datetime(present, format="ISO8601", errors="coerce", utc=True).notna().all())


def _numbers(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return np.asarray(column.dt.total_seconds(), dtype=np.float64)
    if column.dtype == object:
        column = pd.to_numeric(column.map(lambda value: None if pd.isna(value) else float(value)))
    elif not pd.api.types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column)
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _date_parts(column: pd.Series) -> list[np.ndarray]:
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = pd.to_datetime(column.astype(object), format="ISO8601", errors="coerce", utc=True)
    parts = column.dt
    days = (column.dt.tz_localize(None) - pd.Timestamp(0)) / pd.Timedelta(days=1)
    values = (parts.year, parts.month, parts.day, parts.day_of_week, parts.hour, days)
    return [np.asarray(value, dtype=np.float64) for value in values]
