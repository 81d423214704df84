"""A plan as stages over batches: what runs where, in the order of the steps.

The steps that DuckDB does and that follow each other become one statement (`compiling` has each); functions,
transformers and the other ways to split stand between. Every stage is a call, arrow table in, arrow table
out, so a batch of a shard and a batch of rows to predict go the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mltemporal import steps
from mltemporal.preparation.binding import bound, check_names, named, reads
from mltemporal.preparation.code_stages import FunctionStage, TransformerStage
from mltemporal.preparation.compiling import Select, in_sql, visible
from mltemporal.preparation.engine import Engine, quoted
from mltemporal.preparation.naming import HIDDEN, ROW, TEST
from mltemporal.preparation.plan import Called, Transformed, in_words
from mltemporal.preparation.row_stages import BY, ByClass, ByHash, Piece, Statement, Without
from mltemporal.preparation.sources import read_as
from mltemporal.preparation.splitting import Stratified
from mltemporal.preparation.state import unpacked

if TYPE_CHECKING:
    from mltemporal.preparation.fitted import Fitted

Stage = Callable[[Any], Any]
REMOVING = (steps.Filter, steps.DropMissing, steps.DropDuplicates, steps.Split)
"""The steps that predictions pass over: each row that comes in comes out."""


@dataclass(frozen=True)
class Pipeline:
    """What DuckDB does first, in one statement, and the stages after it."""

    head: Statement
    stages: list[Stage]
    schema: Any
    """Arrow's, of what comes out; the hidden columns included."""

    def __call__(self, table: Any) -> Any:
        """Return what is left of the table's rows; None where nothing is."""
        return self.after_head(self.head(table)) if table.num_rows else None

    def after_head(self, table: Any) -> Any:
        """Return what the stages leave of rows that DuckDB has done first; None where nothing is."""
        for stage in self.stages:
            if not table.num_rows:
                return None
            table = stage(table)
        return table if table.num_rows else None


@dataclass
class _Building:
    """What has been put together so far."""

    engine: Engine
    empty: Any
    """A table without rows, as it is at this place of the plan."""
    stages: list[Stage] = field(default_factory=list)
    pending: list[Piece] = field(default_factory=list)
    side: ByHash | None = None
    """Tells the side of the split, as soon as what DuckDB does until then is done."""

    def select(self, step: steps.Step | None, select: Select, empty: Any) -> None:
        self.pending.append((step, select))
        self.empty = empty

    def flush(self) -> None:
        if self.pending or not self.stages:
            self.stages.append(Statement(self.engine, self.pending))
            self.pending = []
        if self.side is not None:
            self.stages.append(self.side)
            names = [name for name in self.empty.column_names if not name.startswith(BY)]
            self.empty, self.side = _with(self.empty.select(names), TEST), None

    def add(self, stage: Stage, empty: Callable[[Any], Any] = lambda empty: empty) -> None:
        self.flush()
        self.stages.append(stage)
        self.empty = empty(self.empty)

    def split_by(self, names: Sequence[str], split: steps.Split, seed: int, after: Sequence[Any]) -> None:
        """Carry along what the columns hold now, for the hash that tells the side.

        So the hash is of fewer rows where some are dropped, and DuckDB's statement is not cut in two. Columns
        that the steps ``after`` leave alone, until somebody else takes over, need not be carried.
        """
        changed = _changed(after, names)
        values = {name: f"{BY}{at}" if name in changed else name for at, name in enumerate(names)}
        if changed:
            carried = ", ".join(
                f"{quoted(name)} AS {quoted(values[name])}" for name in names if name in changed
            )
            select = Select(f"*, {carried}")
            self.select(None, select, self.engine.run(select.over("batch"), self.empty))
        self.side = ByHash(values, split.test_size, seed)


def pipeline(
    fitted: Fitted,
    engine: Engine,
    *,
    shard: int | None = None,
    upto: int | None = None,
    predicting: bool = False,
    planned: tuple[steps.Step | None, ...] | None = None,
    schema: Any | None = None,
    wanted: Collection[str] | None = None,
) -> Pipeline:
    """Return the stages of the first ``upto`` steps (None: all).

    Args:
        shard: the shard's index, whose rows will come in order.
        predicting: whether rows are kept, and not split.
        planned: the steps, where they are not the plan's; None at a place passes over it.
        schema: arrow's, of the rows that come in, where it is not that of the dataset.
        wanted: the columns that must come out; None: all.

    Raises:
        InvalidRequest: a step does not fit the columns that are there.
    """
    plan = fitted.plan
    given = plan.steps if planned is None else planned
    done = given[: len(given) if upto is None else upto]
    source = fitted.schema if schema is None else schema
    building = _Building(engine, _empty([read_as(each) for each in source]))
    if not predicting:
        if numbered(fitted):
            building.empty = _with(building.empty, ROW)
        if plan.split is not None and by_all(plan.split):
            building.split_by(source.names, plan.split, plan.seed, done)
    for place, step in enumerate(done):
        if step is None or (predicting and isinstance(step, REMOVING)):
            continue
        if in_sql(step):
            building.select(step, *bound(engine, step, fitted.state(place), building.empty))
        elif isinstance(step, steps.DropDuplicates):
            assert shard is not None
            building.add(Without(fitted.dropped(place, shard)))
        elif isinstance(step, steps.Split):
            _split(fitted, building, place, done, shard)
        else:
            building.flush()
            building.add(*_code_stage(fitted, building.empty, place, step, predicting))
            check_names(building.empty.column_names, in_words(step))
    if wanted is not None and (building.pending or not building.stages):
        needed = {*wanted, *(building.side.values.values() if building.side else ())}
        kept = [name for name in building.empty.column_names if name in needed or name.startswith(HIDDEN)]
        building.select(None, Select(", ".join(map(quoted, kept))), building.empty.select(kept))
    building.flush()
    head, *stages = building.stages
    assert isinstance(head, Statement)
    return Pipeline(head, stages, building.empty.schema)


def numbered(fitted: Fitted) -> bool:
    """Whether rows need their number in the shard."""
    return any(isinstance(step, steps.DropDuplicates) for step in fitted.plan.steps)


def by_all(split: steps.Split) -> bool:
    """Whether all columns as they are read decide the side."""
    return not (split.by or split.group or split.stratify or split.time)


def transformed_columns(step: Transformed, columns: list[str], target: str | None) -> list[str]:
    """Return the columns that a transformer takes."""
    return list(step.columns) if step.columns is not None else [name for name in columns if name != target]


def _split(
    fitted: Fitted, building: _Building, place: int, done: Sequence[steps.Step | None], shard: int | None
) -> None:
    split = done[place]
    assert isinstance(split, steps.Split)
    if names := split.by or split.group:
        known = visible(dict.fromkeys(building.empty.column_names, ""))
        reads(split, known, building.engine)
        building.split_by(names, split, fitted.plan.seed, done[place + 1 :])
    elif split.stratify:
        assert shard is not None
        sides = Stratified(fitted.before(place, shard), split.test_size, fitted.plan.seed)
        building.add(ByClass(building.engine, split.stratify, sides), lambda empty: _with(empty, TEST))


def _changed(after: Sequence[steps.Step | None], names: Sequence[str]) -> set[str]:
    """Return which of ``names`` the steps change that DuckDB does in one go; their order is no change."""
    changed: set[str] = set()
    for step in after:
        if step is None or isinstance(step, steps.Filter | steps.DropMissing | steps.Split):
            continue
        if not in_sql(step):
            break
        if isinstance(step, steps.Select):
            changed |= set(names) - set(step.columns)
        elif isinstance(step, steps.Rename):
            changed |= {*step.names, *step.names.values()}
        else:
            changed |= set(step.expressions) if isinstance(step, steps.Derive) else set(named(step))
    return changed & set(names)


def _code_stage(
    fitted: Fitted, empty: Any, place: int, step: steps.Step, predicting: bool
) -> tuple[Stage, Callable[[Any], Any]]:
    state = fitted.state(place)
    schema = unpacked(state.schema) if state.schema else None
    made = list(schema) if schema is not None else []
    hidden = [field for field in empty.schema if field.name.startswith(HIDDEN)]
    if isinstance(step, Called):
        function = FunctionStage(fitted.code(step.code), step.label, schema=schema, same_rows=predicting)
        return function, lambda _: _empty([*made, *hidden])
    assert isinstance(step, Transformed)
    columns = transformed_columns(step, visible(dict.fromkeys(empty.column_names, "")), fitted.plan.target)
    others = [field for field in empty.schema if field.name not in columns]
    stage = TransformerStage(fitted.transformer(place), columns, step.label, schema=schema)
    return stage, lambda _: _empty([*others, *made])


def _empty(fields: list[Any]) -> Any:
    import pyarrow as pa

    return pa.schema(fields).empty_table()


def _with(empty: Any, name: str) -> Any:
    import pyarrow as pa

    return empty.append_column(name, pa.array([], pa.bool_() if name == TEST else pa.int64()))
