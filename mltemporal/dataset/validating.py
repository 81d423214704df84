"""The worker's look at a dataset before a job starts: cheap for stored tables, a stream for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mltemporal.dataset.checking import check_target_name, refuse_constant
from mltemporal.dataset.files import Files
from mltemporal.dataset.loading import unchanged_files
from mltemporal.dataset.reading import read_column, scan, shape_of
from mltemporal.errors import CorruptObject, InvalidDataset
from mltemporal.specs.data import Column, DatasetRef
from mltemporal.storage.content import Storage


def validate(
    ref: DatasetRef, *, target: str | None = None, storage: Storage, beat: Callable[[], None] = lambda: None
) -> None:
    """Check that a job would find the dataset as the kernel did; calls ``beat`` regularly.

    A stored table was checked before it was stored and is named by its content, which the job
    verifies when it loads it: here it must only exist, in its full size. Files that are referred
    to must be unchanged; large CSV files, of which the kernel saw the start, are read to their end.

    Raises:
        InvalidDataset: files are gone, changed or do not parse, or ``target`` cannot be predicted.
        NotFound: the stored table is not in ``storage``.
        CorruptObject: the stored table has another size.
        ServiceUnavailable: storage or S3 does not answer.
    """
    if target is not None:
        check_target_name(ref.column_names, target)
    if ref.object is not None:
        size_bytes = storage.size_of(ref.object)
        if size_bytes != ref.object.size_bytes:
            raise CorruptObject(
                f"the stored dataset has {size_bytes:,} bytes instead of {ref.object.size_bytes:,}",
                "launch the job again from the notebook that holds the table",
            )
        return
    files: Files = unchanged_files(ref)
    beat()
    _same_schema(ref, files)
    beat()
    if files.format == "csv" and not files.small:
        scan(files, beat)
    if target is not None:
        refuse_constant(_beating(read_column(files, target), beat), target)


def _same_schema(ref: DatasetRef, files: Files) -> None:
    schema = shape_of(files, count=False).schema
    columns = tuple(Column(name=field.name, type=str(field.type)) for field in schema)
    if columns != ref.columns:
        raise InvalidDataset(
            f"the columns of the files at {files.uri!r} are not those that were launched with",
            "launch the job again to train on what is there now",
        )


def _beating(chunks: Iterator[object], beat: Callable[[], None]) -> Iterator[object]:
    for chunk in chunks:
        beat()
        yield chunk
