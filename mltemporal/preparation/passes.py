"""A look at all rows, as they are at some place of the plan: shard by shard, side by side, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from mltemporal import steps
from mltemporal.dataset.files import Files
from mltemporal.preparation.binding import reads
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.plan import Called, Transformed
from mltemporal.preparation.sources import batches, read_as
from mltemporal.preparation.stages import pipeline
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
            wanted: the columns that the work looks at; None: all. Others may be empty.
        """

        def done(shard: Shard) -> T:
            with self.engine() as engine, closing(self.tables(fitted, engine, shard, upto, wanted)) as tables:
                return work(engine, shard, tables)

        results = []
        pool = ThreadPoolExecutor(max(1, self.threads))
        try:
            for result in pool.map(done, self.shards):
                self.beat()
                results.append(result)
        finally:
            pool.shutdown(cancel_futures=True)
        return results

    def engine(self) -> Engine:
        """Return an engine with one thread and its share of the memory."""
        memory_mib = max(64, self.memory_mib // (self.threads + 1))
        return Engine(memory_mib=memory_mib, threads=1, scratch=self.scratch)

    def tables(
        self, fitted: Fitted, engine: Engine, shard: Shard, upto: int, wanted: frozenset[str] | None = None
    ) -> Iterator[Any]:
        """Yield a shard's rows as the first ``upto`` steps leave them."""
        prepared = pipeline(fitted, engine, shard=shard.index, upto=upto)
        needed = _needed(fitted, engine, upto, wanted)
        with closing(self._read(fitted.schema, shard, needed)) as read:
            for table in read:
                result = prepared(table)
                if result is not None:
                    yield result

    def _read(self, schema: Any, shard: Shard, needed: frozenset[str] | None) -> Iterator[Any]:
        """Yield the shard's tables; the columns that are not needed hold nothing."""
        import pyarrow as pa

        names = schema.names if needed is None else [name for name in schema.names if name in needed]
        names = names or schema.names[:1]
        for table in batches(self.files, shard, schema, names):
            if len(names) == len(schema.names):
                yield table
                continue
            fields = [read_as(field) for field in schema]
            columns = [
                table.column(field.name) if field.name in names else pa.nulls(table.num_rows, field.type)
                for field in fields
            ]
            yield pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _needed(
    fitted: Fitted, engine: Engine, upto: int, wanted: frozenset[str] | None
) -> frozenset[str] | None:
    """Return which columns must be read for the ``wanted`` ones; None: all. Backwards through the steps."""
    done = fitted.plan.steps[:upto]
    split = fitted.plan.split
    if wanted is None or (split and not (split.by or split.group or split.stratify or split.time)):
        return None
    known: list[str] = []
    for step in reversed(done):
        if isinstance(step, Called | Transformed) or (
            isinstance(step, steps.DropMissing) and not step.columns
        ):
            return None
        if isinstance(step, steps.Rename):
            old = {new: name for name, new in step.names.items()}
            wanted = frozenset(old.get(name, name) for name in wanted)
        elif isinstance(step, steps.Derive):
            used = reads(step, known, engine, rest=True) if wanted & set(step.expressions) else frozenset()
            wanted = (wanted - set(step.expressions)) | used
        elif isinstance(step, steps.Filter | steps.DropMissing | steps.Split | steps.Encode):
            wanted |= reads(step, known, engine, rest=True)
    lowered = {name.lower() for name in wanted}
    return frozenset(name for name in fitted.schema.names if name.lower() in lowered)
