"""A container's log: lines with the time of each; only what the newest file holds can be read."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from mltemporal.testing.cluster import times


@dataclass(frozen=True)
class Line:
    """One line, without its end."""

    time_ns: int
    text: bytes

    def shown(self, *, timestamps: bool) -> bytes:
        """Return the line as the log endpoint sends it."""
        stamp = times.nano(self.time_ns).encode() + b" " if timestamps else b""
        return stamp + self.text + b"\n"


class Log:
    """Standard output and standard error of one run of a container, as one stream of lines."""

    def __init__(self, file_bytes: int) -> None:
        self.ended = False
        self._file_bytes = file_bytes
        self._lines: deque[Line] = deque()
        self._first = 0
        """Number of lines that rotation took away."""
        self._size = 0
        self._last_ns = 0
        self._rest = b""
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Append output; a line counts once it is complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._append(line)
        if lines:
            self._tell()

    def end(self) -> None:
        """No more output will come."""
        if self._rest:
            self._append(self._rest)
            self._rest = b""
        self.ended = True
        self._tell()

    def _append(self, text: bytes) -> None:
        self._last_ns = max(time.time_ns(), self._last_ns)
        if self._size + len(text) > self._file_bytes:
            self._first += len(self._lines)
            self._lines.clear()
            self._size = 0
        self._lines.append(Line(self._last_ns, text))
        self._size += len(text) + 1

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def read(self, tail: int | None, since_s: int | None) -> Iterator[Line]:
        """Yield the readable lines: the last ``tail``, of these the ones not older than ``since_s``."""
        lines = list(self._lines)
        if tail is not None:
            lines = lines[-tail:] if tail else []
        return (line for line in lines if since_s is None or line.time_ns >= since_s * 1_000_000_000)

    async def follow(self, tail: int | None, since_s: int | None) -> AsyncIterator[Line]:
        """Yield the readable lines, then each new one, until the log ends."""
        position = self._first + len(self._lines)
        for line in self.read(tail, since_s):
            yield line
        while True:
            changed = self._changed
            while position < self._first + len(self._lines):
                position = max(position, self._first)
                line = self._lines[position - self._first]
                position += 1
                yield line
            if self.ended:
                return
            if changed is self._changed:
                await changed.wait()

    def tail_text(self, lines: int = 80, limit: int = 2048) -> str:
        """Return the end of the log, for ``terminationMessagePolicy: FallbackToLogsOnError``."""
        text = b"".join(line.shown(timestamps=False) for line in self.read(lines, None))
        return text[-limit:].decode(errors="replace")
