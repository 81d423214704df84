"""In-memory tables (pandas, polars, pyarrow, scikit-learn Bunch) as one arrow table.

The libraries are told by the names of the objects' modules, so that none is imported to find
out. What pandas knows beyond arrow (categories, dates, ``attrs`` that are JSON) survives.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidDataset

if TYPE_CHECKING:
    import pandas as pd

_ACCEPTED = (
    "pass a pandas, polars or pyarrow table, a scikit-learn Bunch, or a path or URI of parquet or CSV files"
)


def to_table(source: object) -> tuple[Any, str | None]:
    """Return ``source`` as an arrow table, and the target where the source names it.

    A pandas index with a name becomes a column (unless a column has that name); one without
    is dropped. Column names that are no text become text.

    Raises:
        InvalidDataset: it is no table, names are repeated, or a column has no arrow form.
    """
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(source).__mro__}
    if ("pandas", "DataFrame") in kinds:
        return _from_pandas(source), None
    if ("polars", "DataFrame") in kinds:
        return _from_polars(source), None
    if ("pyarrow", "Table") in kinds or ("pyarrow", "RecordBatch") in kinds:
        return _from_arrow(source), None
    if ("sklearn", "Bunch") in kinds:
        return _from_bunch(source)
    raise _no_table(source)


def check_names(names: list[str]) -> None:
    """Refuse repeated column names.

    Raises:
        InvalidDataset: names them.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidDataset(
            f"column names are repeated: {', '.join(map(repr, repeated))}",
            "give each column a name of its own",
        )


def _from_pandas(frame: pd.DataFrame) -> Any:
    import pyarrow as pa

    named = [name for name in frame.index.names if name is not None]
    if named:
        kept = [name for name in named if name not in frame.columns]
        dropped = [level for level, name in enumerate(frame.index.names) if name not in kept]
        if kept:
            frame = (frame.droplevel(dropped) if dropped else frame).reset_index()
    names = _text_names(frame)
    if names != list(frame.columns):
        attrs = frame.attrs
        frame = frame.set_axis(names, axis="columns")
        frame.attrs = attrs
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _unconvertible(frame, error) from error
    return _with_attrs(table, frame.attrs)


def _text_names(frame: pd.DataFrame) -> list[str]:
    names: list[object] = list(frame.columns)
    for name in names:
        if isinstance(name, tuple) or name is None:
            raise InvalidDataset(
                f"column name {name!r} is no text", "name the columns with text: frame.columns = [...]"
            )
    texts = [str(name) for name in names]
    check_names(texts)
    return texts


def _unconvertible(frame: pd.DataFrame, error: Exception) -> InvalidDataset:
    import pyarrow as pa

    for name in frame.columns:
        try:
            pa.array(frame[name], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as reason:
            kinds = sorted({type(value).__name__ for value in frame[name].head(10_000)})
            return InvalidDataset(
                f"column {name!r} ({frame[name].dtype}) holds values that cannot be stored in one column "
                f"({', '.join(kinds[:5])}): {reason}",
                "turn them into one type, or drop the column",
            )
    return InvalidDataset(f"the table cannot be stored: {error}", "turn its columns into plain types")


def _with_attrs(table: Any, attrs: dict[Any, Any]) -> Any:
    """Keep the frame's ``attrs`` where pandas itself keeps them; those that are no JSON are left out."""
    if not attrs:
        return table
    try:
        text = json.dumps(attrs)
    except (TypeError, ValueError):
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), b"PANDAS_ATTRS": text.encode()})


def _from_polars(frame: Any) -> Any:
    return _from_arrow(frame.to_arrow())


def _from_arrow(source: Any) -> Any:
    import pyarrow as pa

    table = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
    check_names(table.column_names)
    return table


def _from_bunch(bunch: Any) -> tuple[Any, str]:
    import pandas as pd

    target = bunch.get("target")
    if getattr(target, "ndim", 1) != 1:
        raise InvalidDataset("the Bunch has several targets", 'pass bunch.frame and target="..."')
    frame = bunch.get("frame")
    if isinstance(frame, pd.DataFrame) and isinstance(target, pd.Series):
        return _from_pandas(frame), str(target.name)
    data = bunch.get("data")
    if target is None or getattr(data, "ndim", 0) != 2 or len(data) != len(target):
        raise InvalidDataset(
            f"the Bunch's data ({type(data).__name__}) and target do not make a table",
            "build a pandas.DataFrame of it and pass that",
        )
    names = bunch.get("target_names")
    name = str(names[0]) if names is not None and len(names) == 1 else "target"
    frame = pd.DataFrame(data, columns=bunch.get("feature_names"))
    frame.columns = [str(column) for column in frame.columns]
    check_names([*frame.columns, name])
    return _from_pandas(frame.assign(**{name: target})), name


def _no_table(source: object) -> InvalidDataset:
    kind = f"{type(source).__module__}.{type(source).__name__}".removeprefix("builtins.")
    next_steps = {
        "Series": "pass a table: series.to_frame()",
        "LazyFrame": "pass a table: frame.collect()",
        "ndarray": "pass a table: pandas.DataFrame(array, columns=[...])",
        "list": "pass a table: pandas.DataFrame(rows)",
        "dict": "pass a table: pandas.DataFrame(columns)",
        "tuple": 'pass one table: features and target together, and target="..."',
    }
    return InvalidDataset(f"{kind} is no table", next_steps.get(type(source).__name__, _ACCEPTED))
