"""What fills, encoders and scalers learn: moments and counts of columns, of the training part only.

Both are taken by shard and put together in the shards' order, so the same rows give the same state to the
last digit, whichever shard was first. Quantiles are exact, from counts of values, which spill.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any

from mltemporal import steps
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.compiling import LEARNT_FILLS, Types, fills, present
from mltemporal.preparation.engine import Engine, memory_told, quoted
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.naming import TEST
from mltemporal.preparation.passes import Passes
from mltemporal.preparation.stages import pipeline
from mltemporal.preparation.state import State
from mltemporal.specs.data import Shard

MOST_ONEHOT = 200
MOST_ORDINAL = 100_000
"""Categories of a column where the step does not say how many."""


@dataclass(frozen=True)
class Ask:
    """What is to be known of a column: ``moments`` or ``counts``, of its ``value`` in SQL."""

    column: str
    kind: str
    value: str


@dataclass(frozen=True)
class Moments:
    """Of the values that are finite; put together without losing digits."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def plus(self, other: Moments) -> Moments:
        """Return the moments of both."""
        count = self.count + other.count
        if not self.count or not other.count:
            return other if other.count else self
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart * apart * self.count * other.count / count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


def asks(step: steps.Step, types: Types) -> list[Ask]:
    """Return what ``step`` must know of the rows before it."""
    if isinstance(step, steps.FillMissing):
        wanted = [fill for fill in fills(step, types) if fill.strategy in LEARNT_FILLS]
        return [
            _moments(fill.column)
            if fill.strategy == "mean"
            else Ask(fill.column, "counts", present(fill.column, types))
            for fill in wanted
        ]
    if isinstance(step, steps.Encode):
        return [Ask(name, "counts", f"CAST({present(name, types)} AS VARCHAR)") for name in step.columns]
    if isinstance(step, steps.Scale):
        if step.method == "robust":
            return [Ask(name, "counts", present(name, types)) for name in step.columns]
        return [_moments(name) for name in step.columns]
    if isinstance(step, steps.Split) and step.time and step.test_from is None:
        return [Ask(step.time, "counts", present(step.time, types))]
    return []


def _moments(name: str) -> Ask:
    column = f"CAST({quoted(name)} AS DOUBLE)"
    return Ask(name, "moments", f"CASE WHEN isfinite({column}) THEN {column} END")


def learn(passes: Passes, fitted: Fitted, places: Sequence[int]) -> Fitted:
    """Return ``fitted`` with what the steps at ``places``, which follow each other, have learnt in one pass.

    Raises:
        InvalidDataset: a column has more categories than a step allows.
    """
    with passes.engine() as engine:
        before = pipeline(fitted, engine, shard=passes.shards[0].index, upto=places[0])
        types = engine.types(before.schema.empty_table())
        wanted = {place: asks(fitted.plan.steps[place], types) for place in places}
        every = [ask for place in places for ask in wanted[place]]
        answers = _Answers(engine, every, TEST in types)
        parts = passes.each(fitted, places[0], answers.of_shard, frozenset(ask.column for ask in every))
        answers.put_together(parts)
        for place in places:
            step = fitted.plan.steps[place]
            state, notes = _LEARNERS[type(step)](step, types, answers)
            fitted = fitted.learnt(place, state, *notes)
    return fitted


class _Answers:
    """Moments and counts of columns, over all shards."""

    def __init__(self, engine: Engine, every: list[Ask], split: bool) -> None:
        self._engine, self._every, self._lock = engine, every, Lock()
        self._where = f" WHERE NOT {quoted(TEST)}" if split else ""
        self.moments: dict[str, Moments] = {}

    def of_shard(self, engine: Engine, _: Shard, tables: Iterator[Any]) -> list[Moments | None]:
        """Return the shard's moments, one for each ask, and keep its counts."""
        columns = ", ".join(f"{ask.value} AS c{number}" for number, ask in enumerate(self._every))
        with memory_told():
            for table in _larger(tables):
                engine.keep("rows", table, f"SELECT {columns} FROM batch{self._where}")
            if not engine.has("rows"):
                return [None] * len(self._every)
            return [self._answered(engine, number, ask) for number, ask in enumerate(self._every)]

    def put_together(self, parts: list[list[Moments | None]]) -> None:
        """Take the moments of the shards in their order."""
        for number, ask in enumerate(self._every):
            total = Moments()
            for part in parts:
                total = total.plus(part[number] or Moments())
            self.moments[ask.column] = total

    def counts(self, column: str, most: int, order: str) -> list[tuple[Any, int]]:
        """Return at most ``most`` values and how often each occurs, in the ``order``."""
        table = self._counts(column)
        if table is None:
            return []
        with memory_told():
            return [
                (value, int(count))
                for value, count in self._engine.execute(
                    f"SELECT value, n FROM {table} ORDER BY {order} LIMIT {most}"
                )
            ]

    def total(self, column: str) -> int:
        """Return how many values there are."""
        table = self._counts(column)
        return int(self._engine.execute(f"SELECT sum(n) FROM {table}")[0][0]) if table else 0

    def at(self, column: str, place: float) -> Any:
        """Return the value of rank ``place`` (from 0); between two, what lies between."""
        low, high = math.floor(place), math.ceil(place)
        first, second = self._ranked(column, "CAST(value AS DOUBLE)", f"upto > {low}", f"upto > {high}")
        return first + (second - first) * (place - low)

    def first_after(self, column: str, rows: float) -> str | None:
        """Return, as text, the first value that at least ``rows`` rows stand before; None: there is none."""
        (value,) = self._ranked(column, "value", f"upto - n >= {rows!r}")
        return None if value is None else str(value)

    def _ranked(self, column: str, value: str, *conditions: str) -> tuple[Any, ...]:
        chosen = ", ".join(f"min({value}) FILTER ({condition})" for condition in conditions)
        ranked = f"SELECT value, n, sum(n) OVER (ORDER BY value) AS upto FROM {self._counts(column)}"
        with memory_told():
            return self._engine.execute(f"SELECT {chosen} FROM ({ranked})")[0]

    def _answered(self, engine: Engine, number: int, ask: Ask) -> Moments | None:
        name = f"c{number}"
        if ask.kind == "moments":
            query = f"SELECT count({name}), avg({name}), var_pop({name}), min({name}), max({name}) FROM rows"
            count, mean, variance, least, most = engine.execute(query)[0]
            return Moments(count, mean, variance * count, least, most) if count else None
        query = f"SELECT {name} AS value, count(*) AS n FROM rows WHERE {name} IS NOT NULL GROUP BY value"
        for batch in engine.batches(query):
            with self._lock:
                self._engine.keep(f"parts_{self._number(ask.column)}", _table(batch))
        return None

    def _counts(self, column: str) -> str | None:
        """Return the table of values and counts over all shards, made when it is first asked for."""
        number = self._number(column)
        if self._engine.has(f"parts_{number}"):
            query = f"SELECT value, CAST(sum(n) AS BIGINT) AS n FROM parts_{number} GROUP BY value"
            with memory_told():
                self._engine.execute(f"CREATE TABLE counts_{number} AS {query}")
                self._engine.execute(f"DROP TABLE parts_{number}")
        return f"counts_{number}" if self._engine.has(f"counts_{number}") else None

    def _number(self, column: str) -> int:
        return next(number for number, ask in enumerate(self._every) if ask.column == column)


def _fill(step: steps.FillMissing, types: Types, answers: _Answers) -> tuple[State, list[str]]:
    values: dict[str, Any] = {}
    for fill in fills(step, types):
        name = fill.column
        if fill.strategy == "mean":
            found = answers.moments[name]
            values[name] = found.mean if found.count else None
        elif fill.strategy == "median":
            total = answers.total(name)
            values[name] = answers.at(name, (total - 1) / 2) if total else None
        elif fill.strategy == "most_frequent":
            found_ = answers.counts(name, 1, "n DESC, value")
            values[name] = str(found_[0][0]) if found_ else None
    empty = [name for name, value in values.items() if value is None]
    notes = (
        [f"{', '.join(map(repr, empty))} has no values in the training part to fill from."] if empty else []
    )
    return State(values=values), notes


def _encode(step: steps.Encode, _: Types, answers: _Answers) -> tuple[State, list[str]]:
    most = MOST_ONEHOT if step.method == "onehot" else MOST_ORDINAL
    values, grouped = {}, []
    for name in step.columns:
        wanted = step.max_categories or most
        found = [value for value, _ in answers.counts(name, wanted + 1, "n DESC, value")]
        if len(found) > wanted and step.max_categories is None:
            raise InvalidDataset(
                f"{step!r}: {name!r} has more than {most:,} categories in the training part",
                'add max_categories=50, which puts the rare ones together, or method="ordinal"'
                if step.method == "onehot"
                else "add max_categories=1000, which puts the rare ones together",
            )
        if len(found) > wanted:
            grouped.append(name)
            found = found[: wanted - 1]
        values[name] = sorted(found)
    return State(values=values, grouped=tuple(grouped)), []


def _scale(step: steps.Scale, _: Types, answers: _Answers) -> tuple[State, list[str]]:
    values = {}
    for name in step.columns:
        if step.method == "robust":
            last = answers.total(name) - 1
            low, middle, high = (
                (answers.at(name, last * share) for share in (0.25, 0.5, 0.75)) if last >= 0 else (0, 0, 0)
            )
            centre, spread = middle, high - low
        else:
            found = answers.moments[name]
            if not found.count:
                centre, spread = 0.0, 0.0
            elif step.method == "minmax":
                centre, spread = found.minimum, found.maximum - found.minimum
            else:
                centre, spread = found.mean, math.sqrt(found.squares / found.count)
        values[name] = (float(centre), float(spread) or 1.0)  # a constant is only centred
    return State(values=values), []


def _split(step: steps.Split, _: Types, answers: _Answers) -> tuple[State, list[str]]:
    assert step.time is not None
    total = answers.total(step.time)
    if not total:
        return State(), [f"{step.time!r} has no values: every row is in the training part."]
    start = answers.first_after(step.time, total * (1 - step.test_size))
    if start is None:  # the last moment has more rows than the test part may have
        start = str(answers.counts(step.time, 1, "value DESC")[0][0])
    note = (
        f"Rows are for testing from {step.time} = {start} on; to keep it there when data is appended, write "
        f"split(time={step.time!r}, test_from={start!r})."
    )
    return State(values={"from": start}), [note]


_LEARNERS: dict[type[steps.Step], Any] = {
    steps.FillMissing: _fill,
    steps.Encode: _encode,
    steps.Scale: _scale,
    steps.Split: _split,
}


def _larger(tables: Iterator[Any]) -> Iterator[Any]:
    """Yield the rows in fewer tables: each one that the engine is handed costs it some milliseconds."""
    import pyarrow as pa

    while some := list(islice(tables, 8)):
        yield pa.concat_tables(some)


def _table(batch: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch])
