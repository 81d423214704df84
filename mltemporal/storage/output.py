"""Where a job writes files for people: a folder or an ``s3://`` prefix of their choice.

A file appears whole or not at all, under a name that is the same in every attempt, so writing it
again changes nothing. What belongs to which job is told by the file ``_job.json`` in it; readers
of data pass over names that begin with ``_`` or ``.``.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mltemporal.errors import CorruptObject, InvalidRequest, ServiceUnavailable
from mltemporal.specs.encoding import decode, encode
from mltemporal.storage.places import place_of
from mltemporal.storage.telling import told

MANIFEST = "_manifest.json"
"""Written last: its presence says that the output is complete."""
OWNER = "_job.json"

_OURS = re.compile(r"([\w-]+/)?part-\d+\.parquet|([\w-]+/)?_\w+\.json")
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.new")


@dataclass(frozen=True, kw_only=True)
class _Owner:
    job: str


def output_url(url: str | os.PathLike[str]) -> str:
    """Return a folder's absolute path or the ``s3://`` prefix, without a slash at the end; does no I/O.

    Raises:
        InvalidRequest: it is empty, or neither of the two.
    """
    text = os.fspath(url)
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "file":
        text, separator = rest, ""
    if not text.strip():
        raise InvalidRequest("the output is empty", "name a folder or s3://bucket/prefix, or leave it out")
    if not separator:
        return os.path.abspath(os.path.expanduser(text))
    if scheme != "s3" or not rest.strip("/"):
        raise InvalidRequest(
            f"the output {text!r} is neither a folder nor s3://", "write a path, or s3://bucket/prefix"
        )
    return text.rstrip("/")


class Output:
    """A folder or an ``s3://`` prefix into which a job writes files; safe from several processes.

    Names are relative and may have folders in them: ``train/part-00000.parquet``. Every method may raise
    `ServiceUnavailable` when the store does not answer or is full, and `InvalidRequest` when it refuses.

    Args:
        url: a folder (made absolute) or ``s3://bucket/prefix``.
        patience_s: how long S3 may be away, in seconds, before a method raises.
        scratch: a folder for files on their way to S3; by default the system's temporary one.

    Raises:
        InvalidRequest: ``url`` is neither of the two, or holds keys.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0, scratch: str | None = None) -> None:
        self.url = output_url(url)
        self._place = place_of(self.url, patience_s)
        self._scratch = scratch

    def __repr__(self) -> str:
        return f"Output({self.url!r})"

    @property
    def remote(self) -> bool:
        """Whether it is in S3."""
        return self.url.startswith("s3://")

    def part_url(self, name: str) -> str:
        """Return the absolute path or the whole ``s3://`` URI of a file in it."""
        return f"{self.url}/{name}"

    # Writing

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a path for the block to write to; the file then appears under ``name``, in place of another.

        Whole or not at all: when the block raises or the process dies, nothing appears. Idempotent.
        """
        if self.remote:
            with tempfile.TemporaryDirectory(prefix="mltemporal-output-", dir=self._scratch) as folder:
                path = Path(folder) / "part"
                with self._room(name):
                    yield path
                with self._told(f"write {name!r}"):
                    self._place.replace(name, path)
            return
        at = Path(self.part_url(name))
        path = at.with_name(f".{at.name}.{uuid.uuid4().hex}.new")
        try:
            with self._told(f"write {name!r}"):
                private = _made_like_parent(at.parent)
            with self._room(name):
                yield path
            with self._told(f"write {name!r}"):
                if private:
                    path.chmod(0o600)
                self._place.replace(name, path)
        finally:
            with suppress(OSError):  # of a disk that is away: `tidy` removes it, and says so where it cannot
                path.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of text, whole or not at all. Idempotent."""
        with self.writing(name) as path:
            path.write_text(text, encoding="utf-8")

    def read_text(self, name: str) -> str | None:
        """Return a file's text; None where there is no such file."""
        with suppress(FileNotFoundError), self._told(f"read {name!r}", passing=FileNotFoundError):
            return self._place.read(name).decode(errors="replace")
        return None

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None where there is no such file."""
        with suppress(FileNotFoundError), self._told(f"look for {name!r}", passing=FileNotFoundError):
            return self._place.size(name)
        return None

    def names(self) -> list[str]:
        """Return the names of all files that are there, sorted; unfinished and hidden ones are left out."""
        with self._told("list its files"):
            return sorted(self._place.names(""))

    def remove(self, name: str) -> None:
        """Remove a file; does nothing where it is gone."""
        with (
            suppress(FileNotFoundError),
            self._told(f"remove {name!r}", passing=FileNotFoundError),
        ):
            self._place.remove(name)

    def tidy(self) -> None:
        """Remove what writers left that died in the middle; call it when nobody writes any more."""
        if self.remote:
            return
        with self._told("remove unfinished files"):
            for folder, _, names in os.walk(self.url):
                for name in filter(_UNFINISHED.fullmatch, names):
                    Path(folder, name).unlink(missing_ok=True)

    # Whose it is

    def check_free(self, overwrite: bool = False, owner: str = "") -> None:
        """Refuse a place where something is already, unless job ``owner`` itself wrote it.

        With ``overwrite`` what another job wrote is no obstacle; files of people's own always are.
        Nothing is changed.

        Raises:
            InvalidRequest: something is there, or the folder cannot be written.
            ServiceUnavailable: its disk can only be read now.
        """
        self._check_folder()
        names = self.names()
        if not names or (owner and self._owner(names) == owner):
            return
        shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
        foreign = [name for name in names if not _OURS.fullmatch(name)]
        if foreign or not {MANIFEST, OWNER} & set(names):
            raise InvalidRequest(
                f"the output {self.url!r} holds files that no job of this kind wrote: "
                f"{', '.join(map(repr, foreign[:3])) or shown}",
                "name another output, or an empty one",
            )
        if not overwrite:
            raise InvalidRequest(
                f"the output {self.url!r} exists already: it holds {shown}",
                "name another output, or pass overwrite=True to replace what is there",
            )

    def claim(self, owner: str, *, overwrite: bool = False) -> None:
        """Make the output that of job ``owner``; with ``overwrite`` what another job wrote is removed.

        Idempotent: what job ``owner`` wrote itself, in an earlier attempt, stays.

        Raises:
            InvalidRequest: the same as `check_free`.
        """
        self.check_free(overwrite, owner)
        names = self.names()
        if self._owner(names) == owner:
            return
        # The manifest goes first: what is not complete must not look it. Whose it was goes last.
        for name in sorted(names, key=lambda name: (name != MANIFEST, name == OWNER)):
            self.remove(name)
        self.write_text(OWNER, encode(_Owner(job=owner)))

    def owner(self) -> str | None:
        """Return the key of the job that claimed the output last; None where none did."""
        return self._owner([OWNER])

    def check_owner(self, owner: str) -> None:
        """Refuse to go on writing where another job has claimed the output meanwhile.

        Raises:
            InvalidRequest: it is no longer that of job ``owner``.
        """
        if self.owner() != owner:
            raise InvalidRequest(
                f"another job has replaced what was written to the output {self.url!r}",
                "give each job an output of its own",
            )

    def _owner(self, names: list[str]) -> str | None:
        text = self.read_text(OWNER) if OWNER in names else None
        if text is None:
            return None
        try:
            return decode(text, _Owner).job
        except msgspec.DecodeError as error:
            raise CorruptObject(f"{self.part_url(OWNER)!r} cannot be read: {error}", "remove it") from error

    def _check_folder(self) -> None:
        if self.remote:
            return
        path = Path(self.url)
        while not path.exists():
            path = path.parent
        if not path.is_dir():
            raise InvalidRequest(
                f"the output {self.url!r} is no folder: {str(path)!r} is a file", "name a folder"
            )
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise ServiceUnavailable(
                f"the output {self.url!r} cannot be written: the disk of {str(path)!r} can only be read",
                "look whether it has errors, or name another folder",
            )
        if not os.access(path, os.W_OK | os.X_OK):
            raise InvalidRequest(
                f"the output {self.url!r} cannot be written: no permission for {str(path)!r}",
                "grant it, or name another folder",
            )

    @contextmanager
    def _room(self, name: str) -> Iterator[None]:
        """Translate a disk that takes nothing (more) only: what else the block raises is its own."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            with self._told(f"write {name!r}"):
                raise

    def _told(self, doing: str, *, passing: type[OSError] | tuple[()] = ()) -> AbstractContextManager[None]:
        return told(f"the output {self.url!r} could not {doing}", passing=passing)


def _made_like_parent(folder: Path) -> bool:
    """Make a folder; what is made within a private one is private too. Returns whether it is private."""
    if not folder.exists():
        private = _made_like_parent(folder.parent)
        folder.mkdir(mode=0o700 if private else 0o777, exist_ok=True)
    return folder.stat().st_mode & 0o077 == 0
