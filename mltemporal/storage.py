"""Datasets, code, models and artifacts by content, over fsspec.

Layout under the storage's root::

    objects/ab/abcdef…              bytes under their SHA-256; never changed, never half-written
    jobs/<key>/<name>.json          small notes of one job: its spec, checkpoints, each attempt's output

A writer puts the bytes under a temporary name and moves them, so that an object appears whole
or not at all; putting the same bytes twice stores them once. What is read is verified first.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from mltemporal.errors import CorruptObject, InvalidRequest, NotFound, ServiceUnavailable
from mltemporal.specs import ObjectRef, decode, encode

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20
_NOTE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")


class Storage:
    """One root (a directory or ``s3://bucket/prefix``); safe from several threads and processes.

    Every method may raise `ServiceUnavailable` when the store does not answer or is full.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.local = "://" not in url
        self._root = (
            str(Path(url).expanduser().absolute()) if self.local else url.split("://", 1)[1].rstrip("/")
        )
        self._fs: Any = None

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    # Objects by content

    def put_bytes(self, data: bytes, *, format: str = "bytes") -> ObjectRef:
        """Store ``data`` and return its reference. Idempotent."""
        ref = ObjectRef(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), format=format)
        if not self.has(ref):
            with self._away("write an object"):
                self._write(self._object(ref), data)
        return ref

    @contextmanager
    def writing(self, *, format: str) -> Iterator[Written]:
        """Store what is written to ``.path`` (a local file that the block creates) by its content.

        The reference is in ``.ref`` after the block; when the block raises, nothing is stored.
        """
        with (
            self._away("write an object", passing=FileNotFoundError),  # the block may look for a file
            tempfile.TemporaryDirectory(dir=self._scratch(), prefix=".new-") as folder,
        ):
            written = Written(Path(folder) / "object")
            yield written
            written.ref = ref = ObjectRef(
                sha256=sha256_of(written.path), size_bytes=written.path.stat().st_size, format=format
            )
            if not self.has(ref):
                with self._away("write an object"):
                    self._move_in(written.path, self._object(ref))

    def put_file(self, path: Path, *, format: str = "bytes") -> ObjectRef:
        """Store a copy of the local file ``path``. Idempotent."""
        with self.writing(format=format) as written:
            shutil.copyfile(path, written.path)
        return written.ref

    def has(self, ref: ObjectRef) -> bool:
        """Whether the object is stored in its full size; one cut off by a crash counts as missing."""
        with self._away("look for an object", passing=FileNotFoundError), suppress(FileNotFoundError):
            return self._size(ref) == ref.size_bytes
        return False

    def size_of(self, ref: ObjectRef) -> int:
        """Return how many bytes are stored under the reference.

        Raises:
            NotFound: there is no such object.
        """
        with self._reading(ref):
            return self._size(ref)

    def get_bytes(self, ref: ObjectRef) -> bytes:
        """Return the object's bytes, verified.

        Raises:
            NotFound: there is no such object.
            CorruptObject: the bytes are not the ones that were stored.
        """
        with self._reading(ref), self._open(self._object(ref)) as file:
            data: bytes = file.read()
        _verify(ref, hashlib.sha256(data).hexdigest())
        return data

    @contextmanager
    def local_path(self, ref: ObjectRef) -> Iterator[Path]:
        """Give the object as a local file, verified; a remote one is downloaded for the block's length.

        Raises:
            NotFound: there is no such object.
            CorruptObject: the bytes are not the ones that were stored.
        """
        if self.local:
            path = Path(self._object(ref))
            with self._reading(ref):
                digest = sha256_of(path)
            _verify(ref, digest)
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="mltemporal-") as folder:
            path = Path(folder) / "object"
            with self._reading(ref):
                self._filesystem().get_file(self._object(ref), str(path))
            _verify(ref, sha256_of(path))
            yield path

    def discard(self, ref: ObjectRef) -> None:
        """Remove an object that nothing else can refer to (a checkpoint); does nothing where it is gone."""
        with self._away("remove an object", passing=FileNotFoundError), suppress(FileNotFoundError):
            self._remove(self._object(ref))

    # Notes of one job

    def put_note(self, key: str, name: str, value: Any) -> None:
        """Write ``value`` (a dataclass of `specs`, or JSON-able) as the job's note ``name``, atomically."""
        with self._away("write a note"):
            self._write(self._note(key, name), encode(value).encode())

    def get_note(self, key: str, name: str, kind: type[T]) -> T | None:
        """Return the note as a ``kind``, or None where there is none.

        Raises:
            CorruptObject: what is there is no such note.
        """
        try:
            with (
                self._away("read a note", passing=FileNotFoundError),
                self._open(self._note(key, name)) as file,
            ):
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            return decode(text, kind)
        except msgspec.DecodeError as error:
            raise CorruptObject(
                f"the note {key}/{name} in storage {self.url!r} cannot be read: {error}",
                "run the job that made it again",
            ) from error

    def discard_notes(self, key: str) -> None:
        """Remove every note of job ``key``; does nothing where there is none."""
        folder = os.path.dirname(self._note(key, "any"))
        with self._away("remove notes", passing=FileNotFoundError), suppress(FileNotFoundError):
            if self.local:
                shutil.rmtree(folder)
            else:
                self._filesystem().rm(folder, recursive=True)

    def check(self) -> None:
        """Write, read and remove a small object.

        Raises:
            ServiceUnavailable: one of the three failed; says which.
        """
        probe = self._note("probe", uuid.uuid4().hex)
        with self._away("write a probe"):
            self._write(probe, b"probe")
        with self._away("read the probe back"), self._open(probe) as file:
            if file.read() != b"probe":
                raise ServiceUnavailable(
                    f"storage {self.url!r} returned other bytes than were written", "check the store"
                )
        with self._away("remove the probe"):
            self._remove(probe)

    # Below: the two kinds of store

    def _object(self, ref: ObjectRef) -> str:
        if not re.fullmatch(r"[0-9a-f]{64}", ref.sha256):
            raise InvalidRequest(f"{ref.sha256!r} is no SHA-256", "use a reference that storage returned")
        return f"{self._root}/objects/{ref.sha256[:2]}/{ref.sha256}"

    def _size(self, ref: ObjectRef) -> int:
        path = self._object(ref)
        return os.path.getsize(path) if self.local else int(self._filesystem().size(path))

    def _note(self, key: str, name: str) -> str:
        if not _NOTE_NAME.fullmatch(f"{key}/{name}"):
            raise InvalidRequest(
                f"{key}/{name} cannot name a note", "use lower-case letters, digits, '.' and '-'"
            )
        return f"{self._root}/jobs/{key}/{name}.json"

    def _filesystem(self) -> Any:
        if self._fs is None:
            import fsspec

            try:
                self._fs = fsspec.filesystem(self.url.split("://", 1)[0])
            except ImportError as error:
                raise ServiceUnavailable(
                    f"storage {self.url!r} needs a package that is not installed: {error}",
                    "pip install 'mltemporal[s3]'",
                ) from error
            except ValueError as error:
                raise InvalidRequest(
                    f"storage {self.url!r} has a scheme that is not known",
                    "set MLTEMPORAL_STORAGE_URL to a directory, or to s3://bucket/prefix",
                ) from error
        return self._fs

    def _open(self, path: str) -> IO[bytes]:
        file: IO[bytes] = open(path, "rb") if self.local else self._filesystem().open(path, "rb")  # noqa: SIM115
        return file

    def _scratch(self) -> str | None:
        """A folder on the same file system as the objects, so that the move into place is atomic."""
        if not self.local:
            return None
        scratch = f"{self._root}/incoming"
        os.makedirs(scratch, mode=0o700, exist_ok=True)
        return scratch

    def _write(self, path: str, data: bytes) -> None:
        if not self.local:
            self._filesystem().pipe_file(path, data)  # a PUT is atomic
            return
        with tempfile.NamedTemporaryFile(dir=self._scratch(), delete=False) as file:
            try:
                file.write(data)
                file.close()
                self._move_in(Path(file.name), path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _move_in(self, source: Path, path: str) -> None:
        if self.local:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.replace(source, path)
        else:
            self._filesystem().put_file(str(source), path)

    def _remove(self, path: str) -> None:
        if self.local:
            os.unlink(path)
        else:
            self._filesystem().rm_file(path)

    @contextmanager
    def _reading(self, ref: ObjectRef) -> Iterator[None]:
        try:
            with self._away("read an object", passing=FileNotFoundError):
                yield
        except FileNotFoundError as error:
            raise NotFound(
                f"object {ref.sha256[:12]}… is not in storage {self.url!r}",
                "check that the storage is the one it was written to",
            ) from error

    @contextmanager
    def _away(self, doing: str, *, passing: type[OSError] | tuple[()] = ()) -> Iterator[None]:
        """Translate the store's errors, once, here; those of the type ``passing`` the caller knows better."""
        try:
            yield
        except passing:
            raise
        except OSError as error:
            raise ServiceUnavailable(
                f"storage {self.url!r} could not {doing}: {error}",
                "check free space, permissions and that the store can be reached",
            ) from error


class Written:
    """A local file on its way into storage."""

    ref: ObjectRef

    def __init__(self, path: Path) -> None:
        self.path = path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(ref: ObjectRef, digest: str) -> None:
    if digest != ref.sha256:
        raise CorruptObject(
            f"object {ref.sha256[:12]}… holds other bytes than were stored (now {digest[:12]}…)",
            "restore the storage from a backup, or run the job that made it again",
        )
