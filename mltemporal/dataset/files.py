"""Files that a dataset refers to: found by path, directory, glob or ``s3://`` URI, and fingerprinted.

Nothing is copied. A change is noticed by names, sizes and times of change (ETags on S3).
"""

from __future__ import annotations

import difflib
import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mltemporal.dataset.partitions import partition_columns
from mltemporal.dataset.s3_files import find
from mltemporal.errors import InvalidDataset, ServiceUnavailable
from mltemporal.storage.places import PlaceError
from mltemporal.storage.s3_file import ObjectFile

SMALL_BYTES = 64 << 20
"""Below this, the kernel reads CSV files to their end; larger ones the worker does."""

AHEAD_BYTES = 8 << 20
"""How much of an object in S3 is fetched at once where it is read from its start to its end."""

_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
}
_ACCEPTED = "parquet (.parquet, .pq) or CSV (.csv, .csv.gz, .tsv, .tsv.gz)"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file, and what tells whether it has changed."""

    path: str
    """Absolute, or a whole ``s3://`` URI."""
    size_bytes: int
    stamp: str
    """The time of the last change in nanoseconds, or the ETag."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def delimiter(self) -> str:
        """What separates the columns of a CSV file of this name."""
        return "\t" if ".tsv" in self.name.lower() else ","


@dataclass(frozen=True, kw_only=True)
class Files:
    """The data files behind one URI, in the order of their names; never empty."""

    uri: str
    format: str
    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        """The sum of the sizes."""
        return sum(file.size_bytes for file in self.files)

    @property
    def small(self) -> bool:
        """Whether the kernel takes the time to read everything."""
        return self.size_bytes < SMALL_BYTES

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, sizes and stamps; another one means that something has changed."""
        lines = (f"{file.path}\0{file.size_bytes}\0{file.stamp}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

    @cached_property
    def partitions(self) -> dict[str, list[Any]]:
        """The columns that folder names give: a value a file."""
        return partition_columns(self.uri, [file.path for file in self.files])


def find_files(uri: str) -> Files:
    """Return the data files that ``uri`` (file, directory, glob; local or ``s3://``) stands for.

    In a directory, files that are no data and hidden ones (``.``, ``_``) are passed over.

    Raises:
        InvalidDataset: there is none, formats are mixed, a file cannot be read, or the scheme is unknown.
        ServiceUnavailable: S3 does not answer.
    """
    if not uri.strip():
        raise InvalidDataset("the path of the dataset is empty", "name a file, a directory or a glob")
    scheme, _, rest = uri.partition("://")
    if rest and scheme == "file":
        uri = rest
    elif rest and scheme == "s3":
        uri = uri.rstrip("/")
        with _translated(uri):
            found = find(uri, _is_data)
        return _one_format(uri, [File(path=path, size_bytes=size, stamp=etag) for path, size, etag in found])
    elif rest:
        raise InvalidDataset(
            f"{uri!r} has a scheme that is not supported: {scheme!r}", "use a local path or an s3:// URI"
        )
    path = os.path.abspath(os.path.expanduser(uri))
    return _one_format(path, _find_local(path))


@contextmanager
def opened(file: File, *, ahead_bytes: int = AHEAD_BYTES) -> Iterator[Any]:
    """Open a file for pyarrow, decompressed where its name says that it is compressed.

    Args:
        ahead_bytes: how much of an object in S3 is fetched at once; 0 fetches exactly what is read.

    Raises:
        InvalidDataset: the file is gone or cannot be read; also from within the block.
        ServiceUnavailable: S3 does not answer; also from within the block.
    """
    import pyarrow as pa

    compression = "gzip" if file.name.lower().endswith(".gz") else None
    with _translated(file.path):
        if file.path.startswith("s3://"):
            raw = ObjectFile(file.path, file.size_bytes, file.stamp, ahead_bytes=ahead_bytes)
            with pa.PythonFile(raw, mode="r") as source:
                yield pa.CompressedInputStream(source, compression) if compression else source
        elif compression:
            with pa.input_stream(file.path, compression=compression) as source:
                yield source
        else:
            with pa.OSFile(file.path) as source:
                yield source


def _find_local(path: str) -> list[File]:
    if os.path.isdir(path):
        names = list(_walk(path))
    elif os.path.exists(path) and not os.path.isfile(path):
        raise InvalidDataset(f"{path!r} is no file that can be read twice", "write the data to a file first")
    elif os.path.lexists(path):
        names = [path]
    elif glob.has_magic(path):
        names = [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
    else:
        raise _missing(path)
    found = []
    for name in sorted(names):
        with _translated(name):
            status = os.stat(name)
        found.append(File(path=name, size_bytes=status.st_size, stamp=str(status.st_mtime_ns)))
        if not os.access(name, os.R_OK):
            raise _unreadable(name, "permission denied")
    return found


def _walk(path: str) -> Iterator[str]:
    for folder, folders, names in os.walk(path, onerror=_refuse):
        folders[:] = [name for name in folders if name[0] not in "._"]
        yield from (os.path.join(folder, name) for name in names if _is_data(name))


def _is_data(path: str) -> bool:
    """Whether a path within a directory is that of a data file, and no part of it is hidden."""
    return _format_of(path) is not None and all(part[:1] not in (".", "_") for part in path.split("/"))


def _one_format(uri: str, files: list[File]) -> Files:
    if not files:
        raise InvalidDataset(f"there are no data files at {uri!r}", f"put {_ACCEPTED} files there")
    formats = {_format_of(file.path) or _sniffed(file): file for file in files}
    if len(formats) > 1:
        examples = " and ".join(f"{file.name!r} is {kind}" for kind, file in sorted(formats.items()))
        raise InvalidDataset(
            f"the files at {uri!r} have mixed formats: {examples}", "use a glob, such as '*.parquet'"
        )
    return Files(uri=uri, format=next(iter(formats)), files=tuple(files))


def _format_of(path: str) -> str | None:
    name = path.rsplit("/", 1)[-1].lower()
    return next((kind for suffix, kind in _FORMATS.items() if name.endswith(suffix)), None)


def _sniffed(file: File) -> str:
    """Return the format of a file whose name says nothing."""
    with opened(file) as source:
        if source.read(4) == b"PAR1":
            return "parquet"
    raise InvalidDataset(f"the format of {file.path!r} is not known by its name", f"use {_ACCEPTED}")


def _missing(path: str) -> InvalidDataset:
    folder, name = os.path.split(path)
    try:
        near = difflib.get_close_matches(name, os.listdir(folder), n=3)
    except OSError:
        return InvalidDataset(f"{path!r} does not exist, nor does its folder", "check the path")
    hint = " or ".join(repr(os.path.join(folder, other)) for other in near)
    return InvalidDataset(f"{path!r} does not exist", f"did you mean {hint}?" if hint else "check the path")


def _unreadable(path: str, reason: str) -> InvalidDataset:
    return InvalidDataset(
        f"{path!r} cannot be read: {reason}", "check that it is there, whole, and that you may read it"
    )


def _refuse(error: OSError) -> None:
    raise _unreadable(str(error.filename), error.strerror or str(error)) from error


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Say in our words why a file cannot be reached."""
    try:
        yield
    except PlaceError as error:
        kind = ServiceUnavailable if error.retryable else InvalidDataset
        raise kind(f"{path!r} could not be read: {error}", error.next_step) from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except OSError as error:
        raise _unreadable(path, str(error)) from error


def display_name(uri: str) -> str:
    """Return what a person calls a URI: its last part."""
    return Path(uri.rstrip("/")).name or uri
