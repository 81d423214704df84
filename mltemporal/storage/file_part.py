"""A part of a local file as a file of its own, for an upload that should not hold it in memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any


class FilePart(io.RawIOBase):
    """The bytes of ``path`` from ``start`` up to ``end``, read when they are asked for."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._start = start
        self._size = end - start
        self._at = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read again: yes, when a request is repeated."""
        return True

    def tell(self) -> int:
        """Return the position within the part."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position within the part."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, not beyond the part's end."""
        wanted = max(0, min(len(buffer), self._size - self._at))
        data = os.pread(self._file, wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file; does nothing the second time."""
        if not self.closed:
            os.close(self._file)
        super().close()
