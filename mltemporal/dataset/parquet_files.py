"""Parquet files by pyarrow: the footer at once, the rows in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mltemporal.dataset.files import AHEAD_BYTES, File, opened
from mltemporal.errors import InvalidDataset
from mltemporal.storage.places import PlaceError

_BATCH_ROWS = 64 * 1024


@contextmanager
def parquet(file: File, *, whole: bool = False, ahead_bytes: int = 0, buffer_bytes: int = 0) -> Iterator[Any]:
    """Open a file as a ``pyarrow.parquet.ParquetFile``.

    Args:
        whole: everything will be read and held; from S3 it is then fetched by few, large requests.
        ahead_bytes: how much is fetched at once from S3, for rows that are read one after the other.
        buffer_bytes: read each column through a buffer of this size, so that a row group of any
            size fits in memory; 0 reads a row group's columns at once.

    Raises:
        InvalidDataset: it is truncated, corrupt or no parquet file; also from within the block.
        ServiceUnavailable: S3 does not answer; also from within the block.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file, ahead_bytes=ahead_bytes) as source:
        try:
            found = pq.ParquetFile(source, pre_buffer=whole, buffer_size=buffer_bytes)
            found.schema_arrow.names  # noqa: B018 - a damaged name is found here, or by whoever asks first
            yield found
        except (PlaceError, FileNotFoundError):
            raise  # the store's, and told by `opened`
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InvalidDataset(
                f"{file.path!r} is truncated, corrupt or no parquet file: {error}", "write it again"
            ) from error


def parquet_batches(file: File, names: list[str] | None = None) -> Iterator[Any]:
    """Yield the file's record batches, of the columns ``names`` (None: all).

    Raises:
        InvalidDataset: the file is truncated or corrupt.
    """
    with parquet(file, ahead_bytes=0 if names else AHEAD_BYTES) as opened_file:
        yield from opened_file.iter_batches(batch_size=_BATCH_ROWS, columns=names)
