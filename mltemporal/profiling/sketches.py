"""A small picture of a table's columns, made while its rows stream by, to compare with another's later.

A sketch keeps some of the rows, the same ones for the same data, and counts missing values over all.
Sketches of a table's parts, merged in any order, are a sketch of the table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mltemporal.dataset.files import Files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.shards import csv_schema, plan_shards, shard_batches
from mltemporal.errors import InvalidDataset
from mltemporal.profiling.kinds import NUMERIC, TIMES, columns_of, kind_of
from mltemporal.profiling.sampling import RowSample
from mltemporal.specs.data import Column

if TYPE_CHECKING:
    import numpy as np

SKETCH_ROWS = 10_000
SKETCH_COLUMNS = 200
"""At most these; with many columns fewer rows are kept, 500 at least."""

_CELLS, _LEAST_ROWS = 50_000, 500
_VALUES_KEPT = 500
_TEXT_KEPT = 80
_MISSING, _OTHER = -1, -2


@dataclass(frozen=True, kw_only=True)
class ColumnSketch:
    """One column in the rows that were kept."""

    name: str
    kind: str
    """``integer``, ``number``, ``text``, ``boolean``, ``date`` or ``timestamp``."""
    nulls: int
    """Over all rows; NaN is a missing value."""
    numbers: tuple[float | None, ...] = ()
    """Of numbers, a value for each row kept, to six digits; times in seconds since 1970."""
    values: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    """Of texts and booleans, the place in ``values`` for each row kept; -1 is missing, -2 any other value."""


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """Some rows of a table: enough to tell whether another one is like it. `specs.encode` stores it."""

    rows: int
    """Of the whole table."""
    keys: tuple[int, ...]
    """Of the rows kept, ascending: those of the smallest keys stay when sketches are merged."""
    limit: int
    """How many rows are kept at most."""
    columns: tuple[ColumnSketch, ...]
    left_out: tuple[str, ...] = ()
    """Columns that were not looked at: of lists, bytes or times of day, or too many."""


class SketchBuilder:
    """Makes a sketch of the record batches that it is given.

    Args:
        columns: which to look at; None: all that the first batch has.
        rows: how many are kept at most; by default `SKETCH_ROWS`, fewer where there are many columns.
        seed: another seed keeps other rows.
        stream: the number of the part that the batches belong to: a shard's index.
    """

    def __init__(
        self,
        columns: Sequence[Column] | None = None,
        *,
        rows: int | None = None,
        seed: int = 0,
        stream: int = 0,
    ) -> None:
        self._columns = None if columns is None else list(columns)
        self._limit, self._seed, self._stream = rows, seed, stream
        self._chosen: list[Column] = []
        self._left_out: tuple[str, ...] = ()
        self._nulls: Counter[str] = Counter()
        self._sample: RowSample | None = None

    def add(self, batch: Any) -> None:
        """Look at the next rows, a ``pyarrow.RecordBatch`` (or ``Table``) that has the columns."""
        import pyarrow as pa

        if self._sample is None:
            self._choose(batch.schema)
            self._sample = RowSample(self._limit or _LEAST_ROWS, seed=self._seed, stream=self._stream)
        for column in self._chosen:
            self._nulls[column.name] += _missing(batch.column(column.name))
        batches = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
        for each in batches:
            self._sample.add(each.select([column.name for column in self._chosen]))

    def sketch(self) -> Sketch:
        """Return the sketch of what was added so far."""
        if self._sample is None:
            return Sketch(rows=0, keys=(), limit=self._limit or SKETCH_ROWS, columns=())
        keys, table = self._sample.result()
        columns = [
            _sketched(
                column, self._nulls[column.name], table.column(column.name) if table is not None else None
            )
            for column in self._chosen
        ]
        return Sketch(
            rows=self._sample.seen,
            keys=tuple(int(key) >> 24 for key in keys),  # 40 bits are enough, and shorter in JSON
            limit=self._limit or _LEAST_ROWS,
            columns=tuple(columns),
            left_out=self._left_out,
        )

    def _choose(self, schema: Any) -> None:
        wanted = columns_of(schema) if self._columns is None else self._columns
        fit = [column for column in wanted if kind_of(column.type) != "other"]
        self._chosen = fit[:SKETCH_COLUMNS]
        chosen = {column.name for column in self._chosen}
        self._left_out = tuple(column.name for column in wanted if column.name not in chosen)
        if self._limit is None:
            self._limit = rows_kept(len(self._chosen))


def rows_kept(columns: int) -> int:
    """Return how many rows a sketch of so many columns keeps at most, where nothing else is said."""
    return max(_LEAST_ROWS, min(SKETCH_ROWS, _CELLS // max(1, columns)))


def sketch(
    files: Files, columns: Sequence[Column] | None = None, *, rows: int | None = None, seed: int = 0
) -> Sketch:
    """Return a sketch of data files, which are streamed through. Deterministic; it only reads.

    Args:
        files: the data files.
        columns: which to look at; None: all.
        rows: how many are kept at most; by default `SKETCH_ROWS`, fewer where there are many columns.
        seed: another seed keeps other rows.

    Raises:
        InvalidDataset: a file does not parse, or has not the columns.
        ServiceUnavailable: S3 does not answer.
    """
    if columns is None:
        columns = columns_of(
            csv_schema(files) if files.format == "csv" else shape_of(files, count=False).schema
        )
    names = [column.name for column in columns]
    parts = []
    for shard in plan_shards(files):
        builder = SketchBuilder(columns, rows=rows, seed=seed, stream=shard.index)
        for batch in shard_batches(files, shard, columns=names):
            builder.add(batch)
        parts.append(builder.sketch())
    return merge(parts)


def merge(sketches: Iterable[Sketch]) -> Sketch:
    """Return the sketch of a table whose parts have ``sketches``; in whatever order, it is the same.

    Raises:
        InvalidDataset: the parts have different columns.
    """
    parts = [part for part in sketches if part.columns]
    if not parts:
        return Sketch(rows=0, keys=(), limit=SKETCH_ROWS, columns=())
    names = [column.name for column in parts[0].columns]
    for part in parts:
        if names != [column.name for column in part.columns]:
            differing = sorted(set(names) ^ {column.name for column in part.columns})
            raise InvalidDataset(
                f"parts of the table have different columns: they differ in {differing}",
                "sketch the same columns of each part",
            )
    limit = min(part.limit for part in parts)
    places = [(key, number, row) for number, part in enumerate(parts) for row, key in enumerate(part.keys)]
    kept = sorted(places)[:limit]
    return Sketch(
        rows=sum(part.rows for part in parts),
        keys=tuple(key for key, *_ in kept),
        limit=limit,
        columns=tuple(
            _merged([part.columns[index] for part in parts], [(number, row) for _, number, row in kept])
            for index in range(len(names))
        ),
        left_out=tuple(dict.fromkeys(name for part in parts for name in part.left_out)),
    )


def _merged(parts: list[ColumnSketch], kept: list[tuple[int, int]]) -> ColumnSketch:
    first, nulls = parts[0], sum(part.nulls for part in parts)
    if any(part.numbers for part in parts):
        numbers = tuple(parts[number].numbers[row] for number, row in kept)
        return ColumnSketch(name=first.name, kind=first.kind, nulls=nulls, numbers=numbers)
    texts = [_text_of(parts[number], parts[number].codes[row]) for number, row in kept]
    return _of_texts(first.name, first.kind, nulls, texts)


def _text_of(column: ColumnSketch, code: int) -> str | int:
    return column.values[code] if code >= 0 else code


def _sketched(column: Column, nulls: int, values: Any) -> ColumnSketch:

    kind = kind_of(column.type)
    if values is None:
        return ColumnSketch(name=column.name, kind=kind, nulls=nulls)
    if kind in NUMERIC or kind in TIMES:
        return ColumnSketch(name=column.name, kind=kind, nulls=nulls, numbers=_numbers(values, kind))
    texts = [_MISSING if value is None else str(value)[:_TEXT_KEPT] for value in values.to_pylist()]
    return _of_texts(column.name, kind, nulls, texts)


def _numbers(values: Any, kind: str) -> tuple[float | None, ...]:
    import pyarrow as pa

    if kind in TIMES:
        seconds = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return tuple(None if value is None else round(value / 1e6, 3) for value in seconds.to_pylist())
    floats = values.cast(pa.float64(), safe=False).to_numpy()
    rounded = floats if kind == "integer" else _six_digits(floats)
    return tuple(value if math.isfinite(value) else None for value in rounded.tolist())


def _six_digits(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of six significant digits: always the same ones, so that equal values stay equal."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        places = 5 - np.floor(np.log10(np.abs(numbers)))
        power = 10.0 ** np.abs(places)  # exact where it is not huge, so that decimals stay short
        rounded = np.where(places >= 0, np.rint(numbers * power) / power, np.rint(numbers / power) * power)
    return np.where(np.isfinite(rounded), rounded, numbers)


def _of_texts(name: str, kind: str, nulls: int, texts: list[Any]) -> ColumnSketch:
    """Return the sketch of values of which all but the most frequent are ``other``."""
    counts = Counter(text for text in texts if isinstance(text, str))
    frequent = sorted(counts, key=lambda text: (-counts[text], text))[:_VALUES_KEPT]
    codes = {text: code for code, text in enumerate(frequent)}
    return ColumnSketch(
        name=name,
        kind=kind,
        nulls=nulls,
        values=tuple(frequent),
        codes=tuple(codes.get(text, _OTHER) if isinstance(text, str) else text for text in texts),
    )


def _missing(values: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    count = int(values.null_count)
    if pa.types.is_floating(values.type) and not pa.types.is_float16(values.type):
        count += pc.sum(pc.is_nan(values)).as_py() or 0
    return count
