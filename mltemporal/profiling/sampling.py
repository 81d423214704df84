"""A bounded sample of a table that streams by: the same rows for the same data, whatever the batches.

Each row has a key, a hash of where it stands; kept are the rows with the smallest keys. So samples of
parts of a table put together are a sample of the whole, in whatever order they meet.
"""

from __future__ import annotations

from typing import Any

TEXT_KEPT = 200
"""Texts are cut at this many characters, so that a sample of documents stays small."""


class RowSample:
    """At most ``rows`` rows of the batches that were added.

    Args:
        rows: how many are kept.
        seed: another seed keeps others.
        stream: the number of the part that the batches belong to (a shard's index), so that parts
            of one table do not keep the same places.
    """

    def __init__(self, rows: int, *, seed: int = 0, stream: int = 0) -> None:
        self._rows = rows
        self._salt = _mixed(seed) ^ _mixed(stream + 0x51ED)
        self._seen = 0
        self._kept: list[tuple[Any, Any]] = []  # keys and rows, each bounded
        self._waiting = 0
        self._limit = 2**64 - 1  # keys above it are not among the smallest any more

    @property
    def seen(self) -> int:
        """How many rows were added."""
        return self._seen

    def add(self, batch: Any) -> None:
        """Look at the next rows, a ``pyarrow.RecordBatch``."""
        import numpy as np
        import pyarrow as pa

        places = np.arange(self._seen, self._seen + batch.num_rows, dtype=np.uint64)
        self._seen += batch.num_rows
        keys = _mixed_all(places ^ np.uint64(self._salt))
        chosen = np.flatnonzero(keys <= np.uint64(self._limit))
        if not len(chosen):
            return
        rows = batch if len(chosen) == batch.num_rows else batch.take(pa.array(chosen))
        self._kept.append((keys[chosen], _light(pa.Table.from_batches([rows]))))
        self._waiting += len(chosen)
        if self._waiting > 2 * self._rows:
            self._thin_out()

    def result(self) -> tuple[Any, Any]:
        """Return the kept rows' keys (numpy, ascending) and the rows (``pyarrow.Table``; None: no rows)."""
        if not self._kept:
            return [], None
        self._thin_out()
        return self._kept[0]

    def _thin_out(self) -> None:
        import numpy as np
        import pyarrow as pa

        keys = np.concatenate([keys for keys, _ in self._kept])
        table = pa.concat_tables([rows for _, rows in self._kept], promote_options="permissive")
        order = np.argsort(keys, kind="stable")[: self._rows]
        self._kept = [(keys[order], table.take(pa.array(order)).combine_chunks())]
        self._waiting = len(order)
        if len(order) == self._rows:
            self._limit = int(keys[order[-1]])


def _light(table: Any) -> Any:
    """Return the table with plain instead of dictionary columns, and texts cut."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if _is_text(column.type):
            column = pc.utf8_slice_codeunits(column.cast(pa.large_string()), 0, TEXT_KEPT)
        if column is not table.column(index):
            table = table.set_column(index, field.name, column)
    return table


def _is_text(type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type))


def _mixed(value: int) -> int:
    """Return splitmix64 of ``value``."""
    import numpy as np

    return int(_mixed_all(np.array([value % 2**64], dtype=np.uint64))[0])


def _mixed_all(values: Any) -> Any:
    """Return splitmix64 of each: every bit depends on every bit, the same on every machine."""
    import numpy as np

    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
