"""The steps of ``preprocess(dataset, steps=[...])``: what is done to a table, in order.

    from mltemporal import steps

    preprocess(dataset, target="label", steps=[
        steps.filter("age >= 18"),
        steps.split(test_size=0.2),
        steps.fill_missing({"age": "median", "city": "unknown"}),
        steps.encode("city"),
    ])

A step can also be a name (``"drop_duplicates"``), a dict (``{"filter": "age >= 18"}``), a function from
DataFrame to DataFrame, or a scikit-learn transformer. What a step learns from the rows (a mean, the
categories) it learns from the training part only, so it stands after the `split`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.steps import arguments
from mltemporal.steps.arguments import Names
from mltemporal.steps.kinds import (
    Cast,
    Derive,
    Drop,
    DropDuplicates,
    DropMissing,
    Encode,
    FillMissing,
    Filter,
    Function,
    Rename,
    Scale,
    Select,
    Split,
    Step,
    Transform,
)

__all__ = [
    "Cast",
    "Derive",
    "Drop",
    "DropDuplicates",
    "DropMissing",
    "Encode",
    "FillMissing",
    "Filter",
    "Function",
    "Rename",
    "Scale",
    "Select",
    "Split",
    "Step",
    "Transform",
    "cast",
    "derive",
    "drop",
    "drop_duplicates",
    "drop_missing",
    "encode",
    "fill_missing",
    "filter",
    "function",
    "rename",
    "scale",
    "select",
    "split",
    "transform",
]


def drop_missing(columns: Names | None = None) -> DropMissing:
    """Drop the rows in which one of ``columns`` (None: any) is missing: NULL, or NaN."""
    return DropMissing(arguments.names("drop_missing", columns))


def fill_missing(
    values: Mapping[str, Any] | str | None = None,
    *,
    columns: Names | None = None,
    strategy: str | None = None,
    value: Any = None,
) -> FillMissing:
    """Fill what is missing.

    Args:
        values: column to strategy (``mean``, ``median``, ``most_frequent``) or to the value itself, as in
            ``{"age": "median", "city": "unknown"}``; or one strategy.
        columns: what the one strategy is for; None: every column that it fits (numbers, for a mean) but
            the target.
        strategy: the one strategy; with ``constant``, ``value`` is filled in, whatever word it is.
        value: what ``constant`` fills in.

    A mean or median of whole numbers makes the column one of fractions.

    Raises:
        InvalidRequest: neither or both are given, or the strategy is unknown.
    """
    if isinstance(values, str):
        values, strategy = None, values
    if (values is None) == (strategy is None):
        raise InvalidRequest(
            "fill_missing needs either a mapping of columns or a strategy",
            'write fill_missing({"age": "median"}) or fill_missing(strategy="median", columns=["age"])',
        )
    if values is not None:
        return FillMissing(values=arguments.mapping("fill_missing", values))
    strategy = arguments.one_of("fill_missing", "strategy", strategy, arguments.STRATEGIES)
    if (strategy == "constant") == (value is None):
        raise InvalidRequest(
            f"fill_missing(strategy={strategy!r}) {'needs a value' if value is None else 'takes no value'}",
            'write fill_missing(strategy="constant", value=0, columns=[...])',
        )
    if strategy == "constant" and columns is None:
        raise InvalidRequest(
            "fill_missing with a constant needs columns",
            'add columns=["age"], or write fill_missing({"age": 0})',
        )
    return FillMissing(columns=arguments.names("fill_missing", columns), strategy=strategy, value=value)


def drop_duplicates(columns: Names | None = None) -> DropDuplicates:
    """Keep the first of the rows that are equal in ``columns`` (None: in all), in the order of the files."""
    return DropDuplicates(arguments.names("drop_duplicates", columns))


def cast(types: Mapping[str, Any], *, errors: str = "raise") -> Cast:
    """Give columns other types: ``{"age": "int64", "day": "date"}``.

    Args:
        types: column to a type of pandas, Arrow or SQL; fractions are rounded to whole numbers.
        errors: ``raise`` fails the job at a value that does not fit, ``coerce`` makes it missing.
    """
    names = {name: arguments.type_name(kind) for name, kind in arguments.mapping("cast", types).items()}
    return Cast(names, errors=arguments.one_of("cast", "errors", errors, ("raise", "coerce")))


def filter(condition: str) -> Filter:  # noqa: A001  (the word that everybody looks for)
    """Keep the rows for which a SQL expression is true: ``age > 18 AND city IS NOT NULL``."""
    return Filter(arguments.text("filter", condition))


def select(columns: Names) -> Select:
    """Keep these columns, in this order."""
    return Select(arguments.names("select", columns) or ())


def drop(columns: Names) -> Drop:
    """Drop these columns."""
    return Drop(arguments.names("drop", columns) or ())


def rename(names: Mapping[str, str] | None = None, **more: str) -> Rename:
    """Rename columns: ``rename({"old": "new"})`` or ``rename(old="new")``."""
    given = {**arguments.mapping("rename", names or {}), **more}
    return Rename(
        {old: arguments.text("rename", new) for old, new in arguments.some("rename", given).items()}
    )


def derive(expressions: Mapping[str, str] | None = None, **more: str) -> Derive:
    """Add columns, or replace them, by SQL expressions over the columns before this step.

    ``derive(bmi="weight / (height * height)")``; decimals come out as double.
    """
    given = {**arguments.mapping("derive", expressions or {}), **more}
    return Derive(
        {name: arguments.text("derive", text) for name, text in arguments.some("derive", given).items()}
    )


def encode(columns: Names, method: str = "onehot", *, max_categories: int | None = None) -> Encode:
    """Turn categories into numbers, as learnt from the training part.

    Args:
        columns: which.
        method: ``onehot`` gives a column ``<column>_<category>`` of 0 and 1 for each category, all 0 where
            the value is missing or was never seen; ``ordinal`` gives the category's place in sorted
            order, -1 for one that was never seen, and missing stays missing.
        max_categories: at most so many for each column: the rarest share one (``<column>_other``), and so
            does what was never seen.
    """
    if max_categories is not None and (not isinstance(max_categories, int) or max_categories < 2):
        raise InvalidRequest(
            f"encode(max_categories={max_categories!r}) is no whole number from 2 up", "leave it out"
        )
    method = arguments.one_of("encode", "method", method, ("onehot", "ordinal"))
    return Encode(arguments.names("encode", columns) or (), method, max_categories)


def scale(columns: Names, method: str = "standard") -> Scale:
    """Scale numbers, as learnt from the training part.

    Args:
        columns: which.
        method: ``standard`` (mean 0, deviation 1), ``minmax`` (0 to 1) or ``robust`` (median 0,
            interquartile range 1).
    """
    method = arguments.one_of("scale", "method", method, ("standard", "minmax", "robust"))
    return Scale(arguments.names("scale", columns) or (), method)


def split(
    test_size: float = 0.2,
    *,
    by: Names | None = None,
    stratify: str | None = None,
    group: Names | None = None,
    time: str | None = None,
    test_from: Any = None,
) -> Split:
    """Split the rows into the parts ``train`` and ``test``, so that none changes sides when data is appended.

    Args:
        test_size: share of the rows, between 0 and 1.
        by: the columns whose values decide by a seeded hash; None: all, as they are read.
        stratify: a column whose every value has the same share in both parts, to within a row.
        group: columns; rows that are equal in them stay together.
        time: a column; the latest rows are the test part.
        test_from: the moment (a date, a time as ISO text, a number) from which rows are test rows. Without
            it, the moment follows from ``test_size`` and the data, and moves when data is appended.

    Raises:
        InvalidRequest: more than one of by, stratify, group and time is given, or a share is none.
    """
    ways = {"by": by, "stratify": stratify, "group": group, "time": time}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise InvalidRequest(
            f"split takes one of by, stratify, group and time, not {' and '.join(given)}", "leave one out"
        )
    if test_from is not None and time is None:
        raise InvalidRequest("split(test_from=...) needs time=, the column", 'add time="date"')
    return Split(
        test_size=arguments.share("split(test_size=…)", test_size),
        by=arguments.names("split", by),
        stratify=None if stratify is None else arguments.text("split", stratify),
        group=arguments.names("split", group),
        time=None if time is None else arguments.text("split", time),
        test_from=None if test_from is None else str(test_from),
    )


def function(function: Callable[[Any], Any]) -> Function:
    """Run a Python function, DataFrame in, DataFrame out, over batches of rows; it travels by value.

    It gets at most some ten thousand rows at a time, of one part at a time, and must treat each row by
    itself: what else is in the batch depends on how the files are cut.
    """
    if not callable(function):
        raise InvalidRequest(
            f"function({function!r}) is not callable", "pass a function from DataFrame to DataFrame"
        )
    return Function(function)


def transform(transformer: Any, columns: Names | None = None) -> Transform:
    """Apply a scikit-learn transformer, cloned and fitted on the training part; its output takes the
    place of ``columns`` (None: all but the target).
    """
    if isinstance(transformer, type) or not (
        hasattr(transformer, "fit") and hasattr(transformer, "transform")
    ):
        raise InvalidRequest(
            f"transform({transformer!r}) is no scikit-learn transformer",
            "pass an instance with fit and transform",
        )
    return Transform(transformer, arguments.names("transform", columns))
