"""Objects by content and notes by name: what a job leaves and what it needs.

Layout under the storage's root::

    objects/ab/abcdef…              bytes under their SHA-256; never changed, never half-written
    jobs/<key>/<name>.json          small notes of one job: its spec, checkpoints, each attempt's output

An object appears whole or not at all; putting the same bytes twice stores them once. What is
read is verified first.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mltemporal.errors import CorruptObject, InvalidRequest, MLTemporalError, NotFound, ServiceUnavailable
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.encoding import decode, encode
from mltemporal.storage.hashing import sha256_of
from mltemporal.storage.places import place_of
from mltemporal.storage.telling import told

T = TypeVar("T")

_NOTE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")


class Storage:
    """One root (a directory or ``s3://bucket/prefix``); safe from several threads and processes.

    S3's server, region and keys come from where every S3 client finds them: ``AWS_*`` variables,
    profiles, a pod's service account. Every method may raise `ServiceUnavailable` when the store
    does not answer or is full, and `InvalidRequest` when it refuses: keys, bucket or permissions are
    wrong, and trying again does not help.

    Args:
        url: the root.
        patience_s: how long S3 may be away, in seconds, before a method raises; by default it is tried
            a few times within some seconds. A job waits for minutes: its work would be lost.

    Raises:
        InvalidRequest: ``url`` is neither a directory nor an ``s3://`` URI.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0) -> None:
        self.url = url
        self._place = place_of(url, patience_s)

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    # Objects by content

    def put_bytes(self, data: bytes, *, format: str = "bytes") -> ObjectRef:
        """Store ``data`` and return its reference. Idempotent."""
        ref = ObjectRef(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), format=format)
        self._add(ref, data)
        return ref

    @contextmanager
    def writing(
        self, *, format: str, announce: Callable[[ObjectRef], None] | None = None
    ) -> Iterator[Written]:
        """Store what is written to ``.path`` (a local file that the block creates) by its content.

        The reference is in ``.ref`` after the block; when the block raises, nothing is stored. ``announce``
        is called with it just before the object appears.
        """
        with (
            self._told("write an object", passing=FileNotFoundError),  # the block may look for a file
            tempfile.TemporaryDirectory(dir=self._place.scratch(), prefix=".new-") as folder,
        ):
            written = Written(Path(folder) / "object")
            yield written
            written.ref = ref = ObjectRef(
                sha256=sha256_of(written.path), size_bytes=written.path.stat().st_size, format=format
            )
            if announce is not None:
                announce(ref)
            self._add(ref, written.path)

    def put_file(self, path: Path, *, format: str = "bytes") -> ObjectRef:
        """Store a copy of the local file ``path``. Idempotent."""
        with self.writing(format=format) as written:
            shutil.copyfile(path, written.path)
        return written.ref

    def has(self, ref: ObjectRef) -> bool:
        """Whether the object is stored in its full size; one cut off by a crash counts as missing."""
        with self._told("look for an object"):
            return self._place.holds(_object(ref), ref.size_bytes)

    def size_of(self, ref: ObjectRef) -> int:
        """Return how many bytes are stored under the reference.

        Raises:
            NotFound: there is no such object.
        """
        with self._reading(ref):
            return self._place.size(_object(ref))

    def url_of(self, ref: ObjectRef) -> str:
        """Return the object's absolute path or whole ``s3://`` URI, for programs in other languages."""
        return self._place.url_of(_object(ref))

    def get_bytes(self, ref: ObjectRef) -> bytes:
        """Return the object's bytes, verified.

        Raises:
            NotFound: there is no such object.
            CorruptObject: the bytes are not the ones that were stored.
        """
        with self._reading(ref):
            data = self._place.read(_object(ref))
        _verify(ref, hashlib.sha256(data).hexdigest())
        return data

    @contextmanager
    def local_path(self, ref: ObjectRef) -> Iterator[Path]:
        """Give the object as a local file, verified; a remote one is downloaded for the block's length.

        Raises:
            NotFound: there is no such object.
            CorruptObject: the bytes are not the ones that were stored.
        """
        with ExitStack() as stack:
            with self._reading(ref):
                path, digest = stack.enter_context(self._place.copy(_object(ref)))
            _verify(ref, digest)
            yield path

    def discard(self, ref: ObjectRef) -> None:
        """Remove an object that nothing else can refer to (a checkpoint); does nothing where it is gone."""
        with (
            self._told("remove an object", passing=FileNotFoundError),
            suppress(FileNotFoundError),
        ):
            self._place.remove(_object(ref))

    # Notes of one job

    def put_note(self, key: str, name: str, value: Any) -> None:
        """Write ``value`` (a dataclass of `specs`, or JSON-able) as the job's note ``name``, atomically."""
        with self._told("write a note"):
            self._place.write(_note(key, name), encode(value).encode())

    def get_note(self, key: str, name: str, kind: type[T]) -> T | None:
        """Return the note as a ``kind``, or None where there is none.

        Raises:
            CorruptObject: what is there is no such note.
        """
        try:
            with self._told("read a note", passing=FileNotFoundError):
                text = self._place.read(_note(key, name))
        except FileNotFoundError:
            return None
        try:
            return decode(text, kind)
        except msgspec.DecodeError as error:
            raise CorruptObject(
                f"the note {key}/{name} in storage {self.url!r} cannot be read: {error}",
                "run the job that made it again",
            ) from error

    def note_names(self, key: str, folder: str) -> list[str]:
        """Return the names of the notes of job ``key`` right below ``folder``, such as ``shards/0000007``.

        Sorted; a listing, a page of 1,000 a request in S3, whatever their number.
        """
        below = _note(key, f"{folder}/any").removesuffix("/any.json")
        with self._told("list notes"):
            names = self._place.names(below)
        notes = (f"{folder}/{name[:-5]}" for name in names if "/" not in name and name.endswith(".json"))
        return sorted(name for name in notes if _NOTE_NAME.fullmatch(name))  # what else is there is not ours

    def discard_note(self, key: str, name: str) -> None:
        """Remove a note of job ``key``; does nothing where it is gone."""
        with self._told("remove a note", passing=FileNotFoundError), suppress(FileNotFoundError):
            self._place.remove(_note(key, name))

    def discard_notes(self, key: str) -> None:
        """Remove every note of job ``key``; does nothing where there is none."""
        folder = _note(key, "any").removesuffix("/any.json")
        with self._told("remove notes", passing=FileNotFoundError), suppress(FileNotFoundError):
            self._place.remove_all(folder)

    def check(self) -> None:
        """Look for, write, read and remove a small object.

        Raises:
            ServiceUnavailable: one of the four failed; says which.
            InvalidRequest: one of the four was refused; says which, and what to grant.
        """
        probe = _note("probe", uuid.uuid4().hex)
        with self._told("look for a probe"):
            self._place.holds(probe, 0)
        with self._told("write a probe"):
            self._place.write(probe, b"probe")
        try:
            with self._told("read the probe back"):
                if self._place.read(probe) != b"probe":
                    raise ServiceUnavailable(
                        f"storage {self.url!r} returned other bytes than were written", "check the store"
                    )
        except MLTemporalError:
            with suppress(OSError):
                self._place.remove(probe)  # what could not be read is no reason to leave it behind
            raise
        with self._told("remove the probe"):
            self._place.remove(probe)

    def _add(self, ref: ObjectRef, source: Path | bytes) -> None:
        if not self.has(ref):
            with self._told("write an object"):
                self._place.add(_object(ref), source)

    @contextmanager
    def _reading(self, ref: ObjectRef) -> Iterator[None]:
        try:
            with self._told("read an object", passing=FileNotFoundError):
                yield
        except FileNotFoundError as error:
            raise NotFound(
                f"object {ref.sha256[:12]}… is not in storage {self.url!r}",
                "check that the storage is the one it was written to",
            ) from error

    @contextmanager
    def _told(self, doing: str, *, passing: type[OSError] | tuple[()] = ()) -> Iterator[None]:
        """Translate the store's errors, once, here; those of the type ``passing`` the caller knows better."""
        with told(f"storage {self.url!r} could not {doing}", passing=passing):
            yield


class Written:
    """A local file on its way into storage."""

    ref: ObjectRef

    def __init__(self, path: Path) -> None:
        self.path = path


def _object(ref: ObjectRef) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", ref.sha256):
        raise InvalidRequest(f"{ref.sha256!r} is no SHA-256", "use a reference that storage returned")
    return f"objects/{ref.sha256[:2]}/{ref.sha256}"


def _note(key: str, name: str) -> str:
    if not _NOTE_NAME.fullmatch(f"{key}/{name}"):
        raise InvalidRequest(
            f"{key}/{name} cannot name a note", "use lower-case letters, digits, '.' and '-'"
        )
    return f"jobs/{key}/{name}.json"


def _verify(ref: ObjectRef, digest: str) -> None:
    if digest != ref.sha256:
        raise CorruptObject(
            f"object {ref.sha256[:12]}… holds other bytes than were stored (now {digest[:12]}…)",
            "restore the storage from a backup, or run the job that made it again",
        )
