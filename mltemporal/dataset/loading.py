"""A dataset as its job gets it: a pandas DataFrame, or a path for a script."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltemporal.dataset.files import find_files
from mltemporal.dataset.reading import read_all, read_parquet
from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import DatasetRef
from mltemporal.storage.content import Storage

if TYPE_CHECKING:
    import pandas as pd


def load(ref: DatasetRef, storage: Storage) -> pd.DataFrame:
    """Return the whole dataset, as it was when the job was launched.

    Raises:
        InvalidDataset: referred files are gone, have changed since the launch, or do not parse.
        NotFound: the stored table is not in ``storage``.
        CorruptObject: the stored table's bytes are not the ones that were stored.
        ServiceUnavailable: storage or S3 does not answer.
    """
    if ref.object is None:
        return to_pandas(read_all(unchanged_files(ref)))
    with storage.local_path(ref.object) as path:
        return to_pandas(read_parquet(path))


@contextmanager
def local_path(ref: DatasetRef, storage: Storage, scratch: str | None = None) -> Iterator[str]:
    """Give a script the dataset as a path (``….parquet`` for a stored table) or as its URI.

    Args:
        scratch: the folder for the path; by default the system's temporary one.

    Raises:
        The same as `load`.
    """
    if ref.object is None:
        yield unchanged_files(ref).uri
        return
    with (
        storage.local_path(ref.object) as path,
        tempfile.TemporaryDirectory(prefix="mltemporal-", dir=scratch) as folder,
    ):
        link = Path(folder) / "dataset.parquet"
        link.symlink_to(path)
        yield str(link)


def unchanged_files(ref: DatasetRef) -> Any:
    """Return the files that ``ref`` refers to.

    Raises:
        InvalidDataset: they are gone, or are not what they were at the launch.
    """
    assert ref.uri is not None
    files = find_files(ref.uri)
    if files.fingerprint != ref.fingerprint:
        raise InvalidDataset(
            f"the files at {ref.uri!r} have changed since the job was launched",
            "launch the job again to train on what is there now",
        )
    return files


def to_pandas(table: Any) -> pd.DataFrame:
    """Return an arrow table as a DataFrame, with the ``attrs`` and the index that it had.

    Raises:
        InvalidDataset: it holds text that is none.
    """
    frame: pd.DataFrame
    try:
        frame = table.to_pandas()
        attrs = (table.schema.metadata or {}).get(b"PANDAS_ATTRS")
        if attrs:
            frame.attrs = json.loads(attrs)
    except Exception:  # what pandas had noted beside the data is damaged, or another program's
        try:
            frame = table.replace_schema_metadata(None).to_pandas()
        except (ValueError, ArithmeticError) as error:
            raise InvalidDataset(f"the table cannot be read: {error}", "write it again") from error
    return frame
