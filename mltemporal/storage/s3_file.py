"""An object in S3 as a file that is read piece by piece."""

from __future__ import annotations

import io
import os

from mltemporal.storage import s3
from mltemporal.storage.s3_transfer import fetch


class ObjectFile(io.RawIOBase):
    """An object of known size and ETag, for one reader at a time; made without any request.

    Where less is asked for, ``ahead_bytes`` are fetched at once: many for a file that is read from
    its start to its end, none for single columns here and there.

    Raises:
        FileNotFoundError: the object is gone; from every read.
        PlaceError: S3 refused or did not answer, or the object is another one now; from every read.
    """

    def __init__(self, url: str, size_bytes: int, etag: str, *, ahead_bytes: int = 0) -> None:
        self._bucket, _, self._key = url.removeprefix("s3://").partition("/")
        self._size = size_bytes
        self._same = {"IfMatch": etag} if etag else {}
        self._ahead = ahead_bytes
        self._at = 0
        self._buffer = b""
        self._buffer_at = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere: yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position; costs nothing."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        if not (self._buffer_at <= self._at and end <= self._buffer_at + len(self._buffer)):
            self._buffer = b""  # before the next one comes: both at once are not needed
            until = min(max(end, self._at + self._ahead), self._size)
            self._buffer = s3.call(fetch, self._bucket, self._key, self._at, until, **self._same)
            self._buffer_at = self._at
        data = self._buffer[self._at - self._buffer_at : end - self._buffer_at]
        self._at = end
        return data

    def readall(self) -> bytes:
        """Return the rest."""
        return self.read()
