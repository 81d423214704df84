"""A plan as stages over batches: what runs where, in the order of the steps.

The steps that DuckDB does and that follow each other become one statement (`compiling` has each); functions,
transformers and the other ways to split stand between. Every stage is a call, arrow table in, arrow table out,
so a batch of a shard and a batch of rows to predict go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mltemporal import steps
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.binding import bound, check_names
from mltemporal.preparation.code_stages import FunctionStage, TransformerStage
from mltemporal.preparation.compiling import Select, in_sql, visible
from mltemporal.preparation.engine import Engine, first_line, memory_told, quoted
from mltemporal.preparation.naming import HIDDEN, ROW, TEST
from mltemporal.preparation.plan import Called, Transformed, in_words
from mltemporal.preparation.sources import read_as
from mltemporal.preparation.splitting import Stratified, by_hash
from mltemporal.preparation.state import unpacked

if TYPE_CHECKING:
    from mltemporal.preparation.fitted import Fitted

Stage = Callable[[Any], Any]
REMOVING = (steps.Filter, steps.DropMissing, steps.DropDuplicates, steps.Split)
"""The steps that predictions pass over: each row that comes in comes out."""


@dataclass(frozen=True)
class Pipeline:
    """Stages in order."""

    stages: list[Stage]
    schema: Any
    """Arrow's, of what comes out; the hidden columns included."""

    def __call__(self, table: Any) -> Any:
        """Return what is left of the table's rows; None where nothing is."""
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
    pending: list[tuple[steps.Step, Select]] = field(default_factory=list)

    def flush(self) -> None:
        if self.pending:
            self.stages.append(_Statement(self.engine, self.pending))
            self.pending = []

    def add(self, stage: Stage, empty: Any) -> None:
        self.flush()
        self.stages.append(stage)
        self.empty = empty


def pipeline(
    fitted: Fitted,
    engine: Engine,
    *,
    shard: int | None = None,
    upto: int | None = None,
    predicting: bool = False,
    planned: tuple[steps.Step | None, ...] | None = None,
    schema: Any | None = None,
) -> Pipeline:
    """Return the stages of the first ``upto`` steps (None: all).

    Args:
        shard: the shard's index, whose batches will come in order.
        predicting: whether rows are kept, and not split.
        planned: the steps, where they are not the plan's; None at a place passes over it.
        schema: arrow's, of the rows that come in, where it is not that of the dataset.

    Raises:
        InvalidRequest: a step does not fit the columns that are there.
    """
    plan = fitted.plan
    given = plan.steps if planned is None else planned
    source = fitted.schema if schema is None else schema
    building = _Building(engine, _empty([read_as(each) for each in source]))
    if not predicting:
        _number_and_side(fitted, building)
    for place, step in enumerate(given[: len(given) if upto is None else upto]):
        if step is None or (predicting and isinstance(step, REMOVING)):
            continue
        if in_sql(step):
            select, building.empty = bound(engine, step, fitted.state(place), building.empty)
            building.pending.append((step, select))
        elif isinstance(step, steps.DropDuplicates):
            assert shard is not None
            building.add(_Without(fitted.dropped(place, shard)), building.empty)
        elif isinstance(step, steps.Split):
            _add_split(fitted, building, place, step, shard)
        else:
            building.flush()
            building.add(*_code_stage(fitted, building.empty, place, step, predicting))
            check_names(building.empty.column_names, in_words(step))
    building.flush()
    return Pipeline(building.stages, building.empty.schema)


def transformed_columns(step: Transformed, columns: list[str], target: str | None) -> list[str]:
    """Return the columns that a transformer takes."""
    return list(step.columns) if step.columns is not None else [name for name in columns if name != target]


def _number_and_side(fitted: Fitted, building: _Building) -> None:
    """Add what must be told from the rows as they are read."""
    plan = fitted.plan
    if any(isinstance(step, steps.DropDuplicates) for step in plan.steps):
        building.add(_Numbered(), _with(building.empty, ROW))
    split = plan.split
    if split is not None and _by_all(split):
        names = fitted.schema.names
        side = _Side(lambda table: by_hash(table, names, split.test_size, plan.seed))
        building.add(side, _with(building.empty, TEST))


def _by_all(split: steps.Split) -> bool:
    return not (split.by or split.group or split.stratify or split.time)


def _add_split(
    fitted: Fitted, building: _Building, place: int, split: steps.Split, shard: int | None
) -> None:
    seed, names = fitted.plan.seed, split.by or split.group
    if names:
        building.add(
            _Side(lambda table: by_hash(table, names, split.test_size, seed)), _with(building.empty, TEST)
        )
    elif split.stratify:
        assert shard is not None
        sides = Stratified(fitted.before(place, shard), split.test_size, seed)
        query = f"SELECT CAST({quoted(split.stratify)} AS VARCHAR) AS class FROM batch"
        engine = building.engine
        building.add(
            _Side(lambda table: sides(engine.run(query, table).column("class"))), _with(building.empty, TEST)
        )


def _code_stage(
    fitted: Fitted, empty: Any, place: int, step: steps.Step, predicting: bool
) -> tuple[Stage, Any]:
    import pyarrow as pa

    state = fitted.state(place)
    schema = unpacked(state.schema) if state.schema else None
    made = list(schema) if schema is not None else []
    hidden = [field for field in empty.schema if field.name.startswith(HIDDEN)]
    if isinstance(step, Called):
        function = FunctionStage(fitted.code(step.code), step.label, schema=schema, same_rows=predicting)
        return function, _empty([*made, *hidden])
    assert isinstance(step, Transformed)
    columns = transformed_columns(step, visible(dict.fromkeys(empty.column_names, "")), fitted.plan.target)
    others: list[pa.Field] = [field for field in empty.schema if field.name not in columns]
    return TransformerStage(fitted.transformer(place), columns, step.label, schema=schema), _empty(
        [*others, *made]
    )


class _Statement:
    """Steps that DuckDB does, nested into one statement."""

    def __init__(self, engine: Engine, done: list[tuple[steps.Step, Select]]) -> None:
        self._engine, self._done = engine, done
        self._query = "batch"
        for _, select in done:
            self._query = f"({select.over(self._query)})"

    def __call__(self, table: Any) -> Any:
        import duckdb

        try:
            with memory_told():
                return self._engine.run(self._query, table)
        except duckdb.Error as error:
            raise self._blamed(table, error) from error

    def _blamed(self, table: Any, error: Exception) -> InvalidDataset:
        """Run step by step, to name the one that fails."""
        import duckdb

        for step, select in self._done:
            try:
                table = self._engine.run(select.over("batch"), table)
            except duckdb.Error as reason:
                coerced = isinstance(step, steps.Cast)
                return InvalidDataset(
                    f"{in_words(step)} failed: {first_line(reason)}",
                    'write cast(..., errors="coerce") to make such values missing'
                    if coerced
                    else "filter such rows out before it, or write TRY_CAST and CASE in the expression",
                )
        return InvalidDataset(f"the steps failed: {first_line(error)}", "simplify them")


class _Numbered:
    """Adds the row's number in its shard."""

    def __init__(self) -> None:
        self._rows = 0

    def __call__(self, table: Any) -> Any:
        import numpy as np
        import pyarrow as pa

        numbers = np.arange(self._rows, self._rows + table.num_rows, dtype=np.int64)
        self._rows += table.num_rows
        return table.append_column(ROW, pa.array(numbers))


class _Side:
    """Adds whether a row is a test row."""

    def __init__(self, sides: Callable[[Any], Any]) -> None:
        self._sides = sides

    def __call__(self, table: Any) -> Any:
        return table.append_column(TEST, self._sides(table))


class _Without:
    """Drops the rows with these numbers."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = numbers

    def __call__(self, table: Any) -> Any:
        import numpy as np
        import pyarrow as pa

        if not len(self._numbers):
            return table
        rows = table.column(ROW).to_numpy()
        return table.filter(pa.array(~np.isin(rows, self._numbers)))


def _empty(fields: list[Any]) -> Any:
    import pyarrow as pa

    return pa.schema(fields).empty_table()


def _with(empty: Any, name: str) -> Any:
    import pyarrow as pa

    return empty.append_column(name, pa.array([], pa.bool_() if name == TEST else pa.int64()))
