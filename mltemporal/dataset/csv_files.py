"""CSV files by pyarrow: streamed with bounded memory, every problem told with file and row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mltemporal.dataset.files import File, opened
from mltemporal.errors import InvalidDataset

_BLOCK_BYTES = 4 << 20
_CONVERSION_ERROR = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error")
_PARSE_ERROR = re.compile(r"CSV parse error: Row #(\d+): (.*)", re.DOTALL)


def csv_head(file: File) -> Any:
    """Return the first block as a record batch, types inferred; no rows when there is only a header.

    Raises:
        InvalidDataset: the block does not parse, or holds bytes that are no UTF-8 text.
    """
    import pyarrow as pa

    with _problems_named(file), opened(file) as source:
        reader = _stream(source, file)
        reader.schema.names  # noqa: B018 - a name that is no text is found here, or by whoever asks first
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return pa.RecordBatch.from_pylist([], schema=reader.schema)
        for field in batch.schema:
            if pa.types.is_binary(field.type):
                raise _no_text(file, repr(field.name))
    return batch


def csv_batches(file: File, names: list[str] | None = None) -> Iterator[Any]:
    """Yield the file's record batches, the columns ``names`` (None: all) as text.

    Raises:
        InvalidDataset: a row does not parse, or holds bytes that are no UTF-8 text.
    """
    import pyarrow as pa

    with _problems_named(file), opened(file) as source:
        header = _stream(source, file).schema.names
    with _problems_named(file), opened(file) as source:
        types = dict.fromkeys(header, pa.string())
        yield from _stream(source, file, include=header if names is None else names, types=types)


def csv_typed_batches(file: File, types: Mapping[str, Any], names: list[str] | None = None) -> Iterator[Any]:
    """Yield the file's record batches, the columns ``names`` (None: all) of the arrow ``types`` by name.

    Raises:
        InvalidDataset: a row does not parse, or a value is not of its column's type.
    """
    with _problems_named(file), opened(file) as source:
        yield from _stream(source, file, include=names, types=types)


def csv_sample(file: File, limit: int) -> list[Any]:
    """Return batches of about ``limit`` rows from the start, typed by the first block.

    It ends early at a value that does not fit that type: the whole file may say otherwise.
    """
    import pyarrow as pa

    batches: list[Any] = []
    with _problems_named(file), opened(file) as source:
        reader = _stream(source, file)
        try:
            while sum(len(batch) for batch in batches) < limit:
                batches.append(reader.read_next_batch())
        except StopIteration:
            pass
        except pa.ArrowInvalid as error:
            if not batches or "conversion error" not in str(error):
                raise
    return batches or [csv_head(file)]


def csv_table(file: File) -> Any:
    """Return the whole file as a table, types inferred from all its rows.

    Raises:
        InvalidDataset: a row does not parse, or holds bytes that are no UTF-8 text.
    """
    import pyarrow as pa
    from pyarrow import csv

    with _problems_named(file), opened(file) as source:
        table = csv.read_csv(
            source,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=_parse_options(file),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
        )
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise _no_text(file, repr(field.name))
    return table


def csv_types(file: File) -> dict[str, Any]:
    """Return the arrow type of each column as `csv_table` infers it, from all rows, in bounded memory.

    A type that a value does not fit gives way to the next, and the file is read anew.

    Raises:
        InvalidDataset: a row does not parse, or holds bytes that are no UTF-8 text.
    """
    import pyarrow as pa

    types = {field.name: field.type for field in csv_head(file).schema}
    names = list(types)
    while True:
        try:
            with opened(file) as source:
                for _ in _stream(source, file, types=types):
                    pass
            return types
        except pa.ArrowInvalid as error:
            found = _CONVERSION_ERROR.search(str(error))
            wider = _wider(types[names[int(found.group(1))]]) if found else None
            if found is None or wider is None:
                raise _problem(file, str(error)) from error
            types[names[int(found.group(1))]] = wider


def _wider(type: Any) -> Any:
    """Return what arrow's own inference tries after ``type``; None after text."""
    import pyarrow as pa

    order = [pa.null(), pa.int64(), pa.bool_(), pa.float64(), pa.date32(), pa.time32("s")]
    order += [pa.timestamp(unit, zone) for unit in ("s", "ns") for zone in (None, "UTC")]
    order += [pa.string(), None]
    return order[order.index(type) + 1] if type in order else None


def scan_csv(file: File, beat: Callable[[], None]) -> int:
    """Read the whole file and return how many rows it has; calls ``beat`` after each block.

    Raises:
        InvalidDataset: a row does not parse, or holds bytes that are no UTF-8 text.
    """
    rows = 0
    for batch in csv_batches(file):
        rows += len(batch)
        beat()
    return rows


def _stream(
    source: Any, file: File, *, include: list[str] | None = None, types: Mapping[str, Any] | None = None
) -> Any:
    from pyarrow import csv

    return csv.open_csv(
        source,
        read_options=csv.ReadOptions(
            block_size=_BLOCK_BYTES, use_threads=False
        ),  # threads lose the row number
        parse_options=_parse_options(file),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True,
            include_columns=include,
            column_types=types,
        ),
    )


def _parse_options(file: File) -> Any:
    from pyarrow import csv

    return csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True)


@contextmanager
def _problems_named(file: File) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except pa.ArrowInvalid as error:
        raise _problem(file, str(error)) from error
    except UnicodeDecodeError as error:
        raise _no_text(file, "unknown: its name is no text either") from error


def _problem(file: File, text: str) -> InvalidDataset:
    if text.startswith("Empty CSV file"):
        return InvalidDataset(f"{file.path!r} is empty", "use a file with a header and rows")
    if found := _PARSE_ERROR.fullmatch(text):
        row, what = found.groups()
        return InvalidDataset(
            f"{file.path!r} does not parse as CSV: row {row} (the header is row 1): {what}",
            "correct that row, or read it with pandas.read_csv and its options and pass the DataFrame",
        )
    if "invalid UTF8" in text:
        column = re.search(r"column #(\d+)", text)
        return _no_text(file, f"number {int(column.group(1)) + 1}" if column else "unknown")
    if "straddling" in text:
        text = f"a row is longer than {_BLOCK_BYTES >> 20} MiB; a quote may not be closed"
    return InvalidDataset(
        f"{file.path!r} does not parse as CSV: {text}",
        "correct it, or read it with pandas.read_csv and its options and pass the DataFrame",
    )


def _no_text(file: File, column: str) -> InvalidDataset:
    return InvalidDataset(
        f"{file.path!r} holds bytes that are no UTF-8 text, in column {column}",
        "save it as UTF-8, or pass pandas.read_csv(path, encoding=...)",
    )
