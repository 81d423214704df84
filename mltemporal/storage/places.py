"""Where stored bytes are: the few operations that a directory and an S3 bucket have in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mltemporal.errors import InvalidRequest


class PlaceError(OSError):
    """Why a store refused or did not answer, in plain words; ``str`` is the reason.

    An `OSError`, as a directory's own errors are, so that both are handled alike.
    """

    def __init__(self, reason: str, next_step: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.next_step = next_step
        self.retryable = retryable


class Place(Protocol):
    """Bytes under names such as ``objects/ab/abcdef…``; safe from several threads and processes.

    Every method may raise an `OSError` (`PlaceError` where the reason is known): FileNotFoundError
    means that there is nothing under the name, and nothing else.
    """

    def url_of(self, name: str) -> str:
        """Return the absolute path or the whole URI of ``name``; does not look whether it exists."""

    def holds(self, name: str, size_bytes: int) -> bool:
        """Whether there is something of that size under ``name``."""

    def size(self, name: str) -> int:
        """Return the size in bytes."""

    def read(self, name: str) -> bytes:
        """Return all the bytes."""

    def copy(self, name: str) -> AbstractContextManager[tuple[Path, str]]:
        """Give a local file with the bytes, for the block's length, and its SHA-256."""

    def write(self, name: str, data: bytes) -> None:
        """Put ``data`` under ``name``, in place of what is there, whole or not at all."""

    def add(self, name: str, source: Path | bytes) -> None:
        """Put bytes whose SHA-256 is in ``name`` there, whole or not at all; may move a file ``source``.

        Another writer of the same bytes, before or at the same time, is as good.
        """

    def replace(self, name: str, source: Path) -> None:
        """Put the bytes of a file under ``name``, in place of what is there; may move the file.

        Whole or not at all, and the size is looked up afterwards.
        """

    def names(self, folder: str) -> list[str]:
        """Return what is below ``folder`` (empty: everything), relative to it; hidden files are passed over.

        Empty where there is no such folder.
        """

    def remove(self, name: str) -> None:
        """Remove ``name``."""

    def remove_all(self, folder: str) -> None:
        """Remove everything below ``folder``."""

    def scratch(self) -> str | None:
        """Return a folder for files that will be added; None is the system's temporary one."""


def place_of(url: str, patience_s: float) -> Place:
    """Return the place that ``url`` (a directory, or ``s3://bucket/prefix``) names; does no I/O.

    A bucket that is away is waited for ``patience_s`` seconds.

    Raises:
        InvalidRequest: it has another scheme, or holds keys.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        from mltemporal.storage.folder import Folder

        return Folder(url)
    if "@" in rest.partition("/")[0]:
        raise InvalidRequest(
            f"the URI of the storage ({scheme}://…) holds keys, and it is shown and recorded in many places",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and MLTEMPORAL_STORAGE_URL to s3://bucket/prefix",
        )
    if scheme == "s3":
        from mltemporal.storage.bucket import Bucket

        return Bucket(url, patience_s)
    raise InvalidRequest(
        f"storage {url!r} has a scheme that is not known",
        "set MLTEMPORAL_STORAGE_URL to a directory, or to s3://bucket/prefix",
    )
