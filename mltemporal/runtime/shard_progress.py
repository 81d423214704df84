"""How many rows are done, over shards that are worked on side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mltemporal.runtime import reporting

REPORT_EVERY_S = 0.25

_listener: Callable[[int], None] | None = None


def advance(rows: int) -> None:
    """Tell, from within a shard's work, that so many more of its rows are done; costs nothing."""
    if _listener is not None:
        _listener(rows)


@contextmanager
def advancing(listener: Callable[[int], None]) -> Iterator[None]:
    """Tell ``listener`` a few times a second how many rows the block's `advance` calls came to."""
    global _listener  # noqa: PLW0603 - a process works on one shard at a time
    done, told_at = 0, time.monotonic()

    def count(rows: int) -> None:
        nonlocal done, told_at
        done += rows
        if (now := time.monotonic()) - told_at >= REPORT_EVERY_S:
            told_at = now
            listener(done)

    _listener = count
    try:
        yield
    finally:
        _listener = None


class Rows:
    """Counts rows and reports them: those of shards that are done, and those of shards in work.

    A shard that is done again after its process was killed takes nothing back.

    Args:
        total: how many there are; None where unknown.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._done: dict[int, int] = {}
        self._done_rows = 0
        self._current: dict[int, int] = {}
        self._most = 0
        self._told_at = 0.0

    def done(self, index: int, rows: int) -> None:
        """A shard is done, by whomever; the second time it does not count."""
        self._current.pop(index, None)
        if index not in self._done:
            self._done[index] = rows
            self._done_rows += rows

    def current(self, index: int, rows: int) -> None:
        """So many rows of a shard in work are done."""
        self._current[index] = rows

    def tell(self, *, now: bool = False) -> None:
        """Report, unless that was done a moment ago."""
        if not now and time.monotonic() - self._told_at < REPORT_EVERY_S:
            return
        self._told_at = time.monotonic()
        most = max(self._most, self._done_rows + sum(self._current.values()))
        if now or most > self._most:
            self._most = most
            reporting.report(step=most, total=self._total)
