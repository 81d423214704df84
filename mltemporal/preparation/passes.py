"""A look at all rows, as they are at some place of the plan: shards side by side, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from mltemporal.dataset.files import Files
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.rows import Rows
from mltemporal.specs import Shard

T = TypeVar("T")
Work = Callable[[Engine, Shard, Iterator[Any]], T]
"""What is done with the tables of one shard; it has the engine to itself."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """The dataset, and what may be used to look at it."""

    files: Files
    shards: Sequence[Shard]
    scratch: str
    memory_mib: int
    threads: int
    beat: Callable[[], None]

    def each(self, fitted: Fitted, upto: int, work: Work[T], wanted: frozenset[str] | None = None) -> list[T]:
        """Do ``work`` for each shard, several at once, and return what it returns in the shards' order.

        Args:
            upto: the rows are as the first ``upto`` steps leave them.
            wanted: the columns that the work looks at; None: all.
        """

        def done(shard: Shard) -> T:
            with Rows(fitted, self.files, shard, **self._limits()) as rows:
                return work(rows.engine, shard, rows.tables(upto=upto, wanted=wanted))

        results = []
        pool = ThreadPoolExecutor(max(1, self.threads))
        try:
            for result in pool.map(done, self.shards):
                self.beat()
                results.append(result)
        finally:
            pool.shutdown(cancel_futures=True)
        return results

    def first(self, fitted: Fitted, upto: int) -> Iterator[Any]:
        """Yield the first tables with rows, as the first ``upto`` steps leave them."""
        for shard in self.shards:
            with Rows(fitted, self.files, shard, **self._limits()) as rows:
                yield from rows.tables(upto=upto)

    def engine(self) -> Engine:
        """Return an engine with one thread and its share of the memory."""
        return Engine(threads=1, **self._limits())

    def _limits(self) -> dict[str, Any]:
        return {"memory_mib": max(64, self.memory_mib // (self.threads + 1)), "scratch": self.scratch}
