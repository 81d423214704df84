"""Parquet files by pyarrow: the footer at once, the rows in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mltemporal.dataset.files import File, opened
from mltemporal.errors import InvalidDataset

_BATCH_ROWS = 64 * 1024


@contextmanager
def parquet(file: File) -> Iterator[Any]:
    """Open a file as a ``pyarrow.parquet.ParquetFile``.

    Raises:
        InvalidDataset: it is truncated, corrupt or no parquet file; also from within the block.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file) as source:
        try:
            yield pq.ParquetFile(source)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDataset(
                f"{file.path!r} is truncated, corrupt or no parquet file: {error}", "write it again"
            ) from error


def parquet_batches(file: File, names: list[str] | None = None) -> Iterator[Any]:
    """Yield the file's record batches, of the columns ``names`` (None: all).

    Raises:
        InvalidDataset: the file is truncated or corrupt.
    """
    with parquet(file) as opened_file:
        yield from opened_file.iter_batches(batch_size=_BATCH_ROWS, columns=names)
