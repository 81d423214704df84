"""A look at all rows, as they are at some place of the plan: shards side by side, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from mltemporal.dataset.files import Files
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.rows import Rows
from mltemporal.preparation.sources import readable
from mltemporal.specs.data import Shard

T = TypeVar("T")
Work = Callable[[Engine, Shard, Iterator[Any]], T]
"""What is done with the tables of one shard; it has the engine to itself."""


class Passes:
    """The dataset, and what may be used to look at it; to be closed by leaving the block.

    Args:
        memory_mib: what all engines together may hold.
        threads: how many shards are looked at side by side.
        beat: called after each shard.
    """

    def __init__(
        self,
        files: Files,
        shards: Sequence[Shard],
        *,
        scratch: str,
        memory_mib: int,
        threads: int,
        beat: Callable[[], None],
    ) -> None:
        self.files, self.shards, self.scratch, self.memory_mib = files, shards, scratch, memory_mib
        self._threads, self._beat = max(1, threads), beat
        self._engines: list[Engine] = []
        self._idle: list[Engine] = []

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            engine.close()

    def each(self, fitted: Fitted, upto: int, work: Work[T], wanted: frozenset[str] | None = None) -> list[T]:
        """Do ``work`` for each shard, several at once, and return what it returns in the shards' order.

        Args:
            upto: the rows are as the first ``upto`` steps leave them.
            wanted: the columns that the work looks at; None: all.
        """

        def done(shard: Shard) -> T:
            with self.engine() as engine:
                rows = Rows(fitted, self.files, shard, engine)
                with closing(rows.tables(upto=upto, wanted=wanted)) as tables:
                    return work(engine, shard, tables)

        results = []
        pool = ThreadPoolExecutor(self._threads)
        try:
            for result in pool.map(done, self.shards):
                self._beat()
                results.append(result)
        finally:
            pool.shutdown(cancel_futures=True)
        return results

    def first(self, fitted: Fitted, upto: int) -> Iterator[Any]:
        """Yield the first tables with rows, as the first ``upto`` steps leave them."""
        for shard in self.shards:
            with self.engine() as engine:
                yield from Rows(fitted, self.files, shard, engine).tables(upto=upto)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Lend an engine with one thread and its share of the memory; what it keeps is forgotten after."""
        try:
            engine = self._idle.pop()
        except IndexError:
            engine = Engine(
                memory_mib=max(64, self.memory_mib // (self._threads + 1)),
                scratch=self.scratch,
                readable=readable(self.files),
            )
            self._engines.append(engine)
        yield engine
        engine.forget()  # one that failed is not lent again
        self._idle.append(engine)
