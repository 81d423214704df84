"""On which side of the split a row is: by its own values and its place, never by how many rows follow.

So a row stays on its side when data is appended: later rows of a file, or files whose names sort later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mltemporal.preparation.hashing import mixed, row_hash, text_hash

_MISSING_CLASS = "\0missing"
MOST_CLASSES = 10_000


def by_hash(table: Any, names: Sequence[str], share: float, seed: int) -> Any:
    """Return for each row whether it is a test row, by a seeded hash of its values in ``names``."""
    import pyarrow as pa

    limit = np.uint64(min(int(Fraction(share) * 2**64), 2**64 - 1))
    return pa.array(row_hash(table, names, seed) < limit)


class Stratified:
    """Sides by class: within each class, every block of ``1 / share`` rows has one test row.

    Where in the block it stands is decided by a seeded hash of class and block. For one shard's batches in
    order.

    Args:
        before: by class, how many of its rows stand before this shard.
        share: of test rows.
    """

    def __init__(self, before: Mapping[str, int], share: float, seed: int) -> None:
        self._next = dict(before)
        self._share = Fraction(share).limit_denominator(100_000)
        self._seed = seed

    def __call__(self, classes: Any) -> Any:
        """Return for each row whether it is a test row; ``classes`` are the values as text."""
        import pyarrow as pa

        numbers, codes, names = self._numbered(classes)
        seeds = np.array([text_hash(f"{self._seed}:{name}") for name in names], dtype=np.uint64)
        share, size = self._share.numerator, self._share.denominator
        block = numbers * share // size
        first = -(-block * size // share)
        after = -(-(block + 1) * size // share)
        chance = mixed(seeds[codes] ^ mixed(block.astype(np.uint64)))
        chosen = first + (chance % (after - first).astype(np.uint64)).astype(np.int64)
        return pa.array(numbers == chosen)

    def _numbered(self, classes: Any) -> tuple[Any, Any, list[str]]:
        """Return each row's number within its class, its class's code, and the classes."""
        codes, names = coded(classes)
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(names))
        starts = np.cumsum(counts) - counts
        numbers = np.empty(len(codes), dtype=np.int64)
        numbers[order] = np.arange(len(codes)) - np.repeat(starts, counts)
        numbers += np.array([self._next.get(name, 0) for name in names], dtype=np.int64)[codes]
        for name, count in zip(names, counts.tolist(), strict=True):
            self._next[name] = self._next.get(name, 0) + count
        return numbers, codes, names


def coded(classes: Any) -> tuple[Any, list[str]]:
    """Return each value's code and the values; missing ones are a class of their own."""
    encoded = classes.combine_chunks().fill_null(_MISSING_CLASS).dictionary_encode()
    encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
