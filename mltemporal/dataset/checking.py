"""A dataset as ``train(dataset)`` gets it: checked first, without side effects, stored later."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mltemporal.dataset.files import Files, display_name, find_files
from mltemporal.dataset.loading import to_pandas, unchanged_files
from mltemporal.dataset.reading import read_column, read_head, read_parquet, shape_of
from mltemporal.dataset.tables import check_names, to_table
from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import Column, DatasetRef, ObjectRef
from mltemporal.storage.content import Storage

if TYPE_CHECKING:
    import pandas as pd

_ROW_GROUP_ROWS = 128 * 1024
_BLOCKS_OF_LARGE_CSV = 16


class _Content(Protocol):
    """Where the rows are."""

    @property
    def whole(self) -> bool:
        """Whether `column` yields every row, not only those at the start."""

    def head(self, limit: int) -> Any: ...

    def column(self, name: str) -> Iterator[Any]: ...

    def refer(self, storage: Storage, facts: dict[str, Any]) -> DatasetRef: ...


@dataclass(frozen=True, kw_only=True)
class CheckedDataset:
    """A dataset that passed every check that needs no job; nothing is stored yet."""

    label: str
    """What a person calls it: a file's name, or ``table of 344 rows × 8 columns``."""
    columns: tuple[Column, ...]
    rows: int
    """-1 where counting would mean reading everything (large CSV)."""
    target: str | None
    """Set where the source names it itself (a scikit-learn Bunch)."""
    content: _Content

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    def sample(self, limit: int = 100_000) -> pd.DataFrame:
        """Return at most ``limit`` rows from the start, for choosing the target."""
        return to_pandas(self.content.head(limit))

    def store(self, storage: Storage) -> DatasetRef:
        """Store an in-memory table by content; files stay where they are. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        facts = {"rows": self.rows, "columns": self.columns, "target": self.target}
        return self.content.refer(storage, facts)


def inspect(source: object, *, target: str | None = None, needs_features: bool = True) -> CheckedDataset:
    """Check a dataset in the kernel, without side effects.

    ``source`` is a pandas, polars or pyarrow table, a scikit-learn Bunch, or a path or URI of
    parquet or CSV files (a file, directory or glob; local or ``s3://``). CSV files of 64 MiB or
    more are checked at their start here, and to their end by `validate`. With
    ``needs_features`` a table of one column is refused.

    Raises:
        InvalidDataset: it is no table, cannot be read, is empty, or ``target`` cannot be predicted.
        ServiceUnavailable: S3 does not answer.
    """
    if isinstance(source, str | os.PathLike):
        checked = _inspect_files(find_files(os.fspath(source)))
    else:
        table, named_target = to_table(source)
        checked = _inspect_table(table, named_target)
    return _judged(checked, target, needs_features)


def inspect_ref(
    ref: DatasetRef, storage: Storage, *, target: str | None = None, needs_features: bool = True
) -> CheckedDataset:
    """Check a dataset that is registered already; `store` then returns ``ref`` itself.

    Raises:
        InvalidDataset: its files are gone or have changed, or ``target`` cannot be predicted.
        NotFound: the stored table is not in ``storage``.
        ServiceUnavailable: storage or S3 does not answer.
    """
    if ref.object is None:
        content: _Content = _Registered(_Referred(unchanged_files(ref)), ref)
    else:
        with storage.local_path(ref.object) as path:
            content = _Registered(_InMemory(read_parquet(path)), ref)
    label = ref.name or (display_name(ref.uri) if ref.uri else f"table of {ref.rows:,} rows")
    checked = CheckedDataset(
        label=label, columns=ref.columns, rows=ref.rows, target=ref.target, content=content
    )
    return _judged(checked, target, needs_features)


def _judged(checked: CheckedDataset, target: str | None, needs_features: bool) -> CheckedDataset:
    if needs_features and len(checked.columns) == 1:
        raise InvalidDataset(
            f"{checked.label} has one column only, {checked.column_names[0]!r}: nothing to predict it from",
            "pass a table with features and a target (for a CSV file, check what separates its columns)",
        )
    if target is not None:
        check_target(checked, target)
    return checked


def check_target(dataset: CheckedDataset | pd.DataFrame, target: str) -> None:
    """Refuse a target that cannot be learnt.

    Raises:
        InvalidDataset: it is not a column, has no values, or only one value.
    """
    if isinstance(dataset, CheckedDataset):
        check_target_name(dataset.column_names, target)
        refuse_constant(dataset.content.column(target), target, whole=dataset.content.whole)
    else:
        import pyarrow as pa

        check_target_name(tuple(dataset.columns), target)
        refuse_constant(iter([pa.array(dataset[target], from_pandas=True)]), target)


def check_target_name(names: tuple[str, ...], target: str) -> None:
    """Refuse a target that is not among ``names``.

    Raises:
        InvalidDataset: names the nearest columns.
    """
    check_column_name(names, target, what="target")


def check_column_name(names: tuple[str, ...], wanted: str, *, what: str) -> None:
    """Refuse a column (``what`` it is for) that is not among ``names``.

    Raises:
        InvalidDataset: names the nearest columns.
    """
    if wanted in names:
        return
    lowered = {name.lower(): name for name in names}
    near = [lowered[name] for name in difflib.get_close_matches(str(wanted).lower(), list(lowered), n=3)]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"columns are {_listed(names)}"
    raise InvalidDataset(f"{what} {wanted!r} is not a column", hint)


def refuse_constant(chunks: Iterator[Any], target: str, *, whole: bool = True) -> None:
    """Read a column until it shows a second value; what is not the ``whole`` column is not judged.

    Raises:
        InvalidDataset: it has no second value, or none at all.
    """
    seen: list[Any] = []
    for chunk in chunks:
        seen += [value for value in _few_values(chunk) if value not in seen]
        if len(seen) > 1:
            return
    if not whole:
        return
    if seen:
        raise InvalidDataset(
            f"target {target!r} has one value only, {seen[0]!r}: there is nothing to learn",
            "choose another target, or rows in which it varies",
        )
    raise InvalidDataset(f"target {target!r} has no values, all are missing", "choose another target")


def _few_values(chunk: Any) -> list[Any]:
    """Return up to three distinct values; missing ones and NaN do not count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        distinct = pc.unique(chunk).slice(0, 5).to_pylist()
    except pa.ArrowNotImplementedError:  # lists and structs
        distinct = chunk.slice(0, 1000).to_pylist()
    return [value for value in distinct if value is not None and value == value][:3]  # noqa: PLR0124 (NaN)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:10]))
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


@dataclass(frozen=True)
class _InMemory:
    table: Any
    whole: bool = True

    def head(self, limit: int) -> Any:
        return self.table.slice(0, limit)

    def column(self, name: str) -> Iterator[Any]:
        yield self.table.column(name)

    def refer(self, storage: Storage, facts: dict[str, Any]) -> DatasetRef:
        ref = _write(self.table, storage)
        return DatasetRef(fingerprint=ref.sha256, format="parquet", object=ref, **facts)


@dataclass(frozen=True)
class _Referred:
    files: Files

    @property
    def whole(self) -> bool:
        return self.files.format != "csv" or self.files.small

    def head(self, limit: int) -> Any:
        return read_head(self.files, limit)

    def column(self, name: str) -> Iterator[Any]:
        chunks = read_column(self.files, name)
        return chunks if self.whole else islice(chunks, _BLOCKS_OF_LARGE_CSV)

    def refer(self, storage: Storage, facts: dict[str, Any]) -> DatasetRef:  # noqa: ARG002
        files = self.files
        return DatasetRef(fingerprint=files.fingerprint, format=files.format, uri=files.uri, **facts)


@dataclass(frozen=True)
class _Registered:
    """What was stored, or referred to, before."""

    content: _InMemory | _Referred
    ref: DatasetRef

    @property
    def whole(self) -> bool:
        return self.content.whole

    def head(self, limit: int) -> Any:
        return self.content.head(limit)

    def column(self, name: str) -> Iterator[Any]:
        return self.content.column(name)

    def refer(self, storage: Storage, facts: dict[str, Any]) -> DatasetRef:  # noqa: ARG002
        return self.ref


def _write(table: Any, storage: Storage) -> ObjectRef:
    import pyarrow.parquet as pq

    with storage.writing(format="parquet") as written:
        pq.write_table(table, written.path, row_group_size=_ROW_GROUP_ROWS, compression="zstd")
    return written.ref


def _inspect_table(table: Any, target: str | None) -> CheckedDataset:
    label = f"table of {table.num_rows:,} rows × {table.num_columns} columns"
    return _checked(label, table.schema, table.num_rows, target, _InMemory(table))


def _inspect_files(files: Files) -> CheckedDataset:
    shape = shape_of(files)
    return _checked(display_name(files.uri), shape.schema, shape.rows, None, _Referred(files))


def _checked(label: str, schema: Any, rows: int, target: str | None, content: _Content) -> CheckedDataset:
    check_names(schema.names)
    if rows == 0 or not schema.names:
        raise InvalidDataset(
            f"{label} is empty: it has no {'rows' if schema.names else 'columns'}", "pass a table with rows"
        )
    columns = tuple(Column(name=field.name, type=str(field.type)) for field in schema)
    return CheckedDataset(label=label, columns=columns, rows=rows, target=target, content=content)
