"""Rows that fit in memory, for what must be fitted on all at once: all of them, or a seeded sample."""

from __future__ import annotations

from threading import Lock
from typing import Any

from mltemporal.preparation.hashing import mixed


class Sample:
    """Keeps rows whose place hashes low; the limit is halved whenever there are too many.

    Which rows are kept depends on the rows and the seed only, not on the order in which they come.

    Args:
        most_bytes: that may be kept, as arrow counts them.
    """

    def __init__(self, most_bytes: int, seed: int) -> None:
        self._most_bytes, self._seed, self._halvings = most_bytes, seed, 0
        self._kept: list[tuple[tuple[int, int], Any, Any]] = []
        self._lock = Lock()
        self.seen = 0

    def add(self, table: Any, shard: int, first_row: int) -> None:
        """Offer the rows of a table, the first of which is the shard's row ``first_row``."""
        import numpy as np

        places = np.uint64(shard << 40) + np.arange(first_row, first_row + table.num_rows, dtype=np.uint64)
        hashes = mixed(places ^ mixed(np.array([self._seed], dtype=np.uint64)))
        with self._lock:
            self.seen += table.num_rows
            self._kept.append(self._low((shard, first_row), table, hashes))
            while sum(kept.nbytes for _, kept, _ in self._kept) > self._most_bytes:
                self._halvings += 1
                self._kept = [self._low(*each) for each in self._kept]

    def table(self) -> Any:
        """Return the rows in their order; None where there are none."""
        import pyarrow as pa

        tables = [table for _, table, _ in sorted(self._kept, key=lambda each: each[0])]
        return pa.concat_tables(tables) if tables else None

    def _low(self, place: tuple[int, int], table: Any, hashes: Any) -> tuple[tuple[int, int], Any, Any]:
        import numpy as np
        import pyarrow as pa

        if not self._halvings:
            return place, table, hashes
        low = (hashes >> np.uint64(64 - self._halvings)) == 0
        return place, table.filter(pa.array(low)), hashes[low]
