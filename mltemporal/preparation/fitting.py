"""Everything that needs a look at all rows, before the shards are written side by side.

The steps are taken in order; what one learns, the next one's rows have gone through. Steps that follow each
other and learn from different columns share a pass.
"""

from __future__ import annotations

import inspect
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mltemporal import steps
from mltemporal.dataset.files import Files
from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.preparation.binding import check_names, named
from mltemporal.preparation.code_stages import FunctionStage, TransformerStage
from mltemporal.preparation.compiling import LEARNT_FILLS, visible
from mltemporal.preparation.duplicates import find_duplicates
from mltemporal.preparation.engine import Engine, quoted
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.learning import learn
from mltemporal.preparation.naming import HIDDEN, TEST
from mltemporal.preparation.passes import Passes
from mltemporal.preparation.plan import Called, Plan, Transformed, in_words
from mltemporal.preparation.sampling import Sample
from mltemporal.preparation.sources import restored, schema_of
from mltemporal.preparation.splitting import MOST_CLASSES, coded
from mltemporal.preparation.stages import pipeline, transformed_columns
from mltemporal.preparation.state import State, packed
from mltemporal.specs.data import Shard

_TRIED_BATCHES = 4
"""How many batches a function is tried on, to see the types that it returns."""


def fit(
    plan: Plan,
    files: Files,
    shards: Sequence[Shard],
    *,
    scratch: str,
    memory_mib: int = 512,
    threads: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> Fitted:
    """Look at the rows as often as the steps must, and return the plan with what they learnt. Deterministic.

    Args:
        shards: of the files, all of them.
        scratch: a folder for what does not fit in memory, and for what `Fitted.store` stores.
        memory_mib: what the engines may hold together before they spill.
        threads: how many shards are looked at side by side.
        beat: called after each shard of each pass.

    Raises:
        InvalidRequest: a step does not fit the columns that are there.
        InvalidDataset: the files do not parse, a value does not fit, a column has too many categories.
        Exception: whatever a function or a transformer raises.
    """
    schema = schema_of(files).remove_metadata()
    check_names(schema.names, "the dataset")
    fitted = Fitted(plan=plan, schema=schema)
    with Passes(files, shards, scratch=scratch, memory_mib=memory_mib, threads=threads, beat=beat) as passes:
        place = 0
        while place < len(plan.steps):
            together = _together(plan.steps, place)
            fitted = learn(passes, fitted, together) if together else _fit_step(passes, fitted, place)
            place += max(1, len(together))
        with passes.engine() as engine:
            after = pipeline(fitted, engine, shard=shards[0].index).schema
    return _with_output(fitted, after)


def _fit_step(passes: Passes, fitted: Fitted, place: int) -> Fitted:
    step = fitted.plan.steps[place]
    if isinstance(step, steps.DropDuplicates):
        return find_duplicates(passes, fitted, place)
    if isinstance(step, steps.Split) and step.stratify:
        return _count_classes(passes, fitted, place, step)
    if isinstance(step, Called):
        return _try_function(passes, fitted, place, step)
    if isinstance(step, Transformed):
        return _fit_transformer(passes, fitted, place, step)
    return fitted


def _with_output(fitted: Fitted, after: Any) -> Fitted:
    from dataclasses import replace

    import pyarrow as pa

    kept = [restored(field, fitted.schema) for field in after if not field.name.startswith(HIDDEN)]
    intervals = [field.name for field in kept if pa.types.is_interval(field.type)]
    if intervals:
        raise InvalidRequest(
            f"column {intervals[0]!r} would be an interval, which parquet does not hold",
            "write epoch(...) around it for seconds",
        )
    return replace(fitted, output=pa.schema(kept), made={})


def _together(planned: Sequence[steps.Step], place: int) -> list[int]:
    """Return the places from ``place`` on of steps that learn in one pass; none where the first does not."""
    together: list[int] = []
    columns: set[str] = set()
    for at in range(place, len(planned)):
        step = planned[at]
        names = set(named(step))
        if not learns(step) or (together and (not names or names & columns)):
            break
        together.append(at)
        columns |= names
        if not names or isinstance(step, steps.Split):
            break
    return together


def learns(step: steps.Step) -> bool:
    """Whether a step needs moments or counts of columns."""
    if isinstance(step, steps.FillMissing):
        return step.strategy in LEARNT_FILLS or any(
            isinstance(value, str) and value in LEARNT_FILLS for value in step.values.values()
        )
    if isinstance(step, steps.Split):
        return bool(step.time) and step.test_from is None
    return isinstance(step, steps.Encode | steps.Scale)


def _count_classes(passes: Passes, fitted: Fitted, place: int, split: steps.Split) -> Fitted:
    """Count each class's rows by shard, so that every shard knows how many stand before it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = split.stratify
    assert name is not None

    def classes(engine: Engine, _: Shard, tables: Iterator[Any]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for table in tables:
            texts = engine.run(f"SELECT CAST({quoted(name)} AS VARCHAR) AS class FROM batch", table)
            codes, values = coded(texts.column("class"))
            for value, count in zip(values, _bincount(codes, len(values)), strict=True):
                counts[value] += count
            if len(counts) > MOST_CLASSES:
                raise InvalidDataset(
                    f"{split!r}: {name!r} has more than {MOST_CLASSES:,} values",
                    "stratify by a column of few classes",
                )
        return counts

    before: Counter[str] = Counter()
    rows: list[tuple[int, str, int]] = []
    for shard, counts in zip(
        passes.shards, passes.each(fitted, place, classes, frozenset([name])), strict=True
    ):
        rows += [(shard.index, value, before[value]) for value in counts]
        before.update(counts)
    numbers, values, starts = zip(*rows, strict=True) if rows else ((), (), ())
    table = pa.table(
        {
            "shard": pa.array(numbers, pa.int64()),
            "class": pa.array(values, pa.string()),
            "before": pa.array(starts, pa.int64()),
        }
    )
    path = Path(passes.scratch) / f"classes-{uuid.uuid4().hex}.parquet"
    pq.write_table(table, path, compression="zstd")
    return fitted.learnt(place, State(), file=path)


def _bincount(codes: Any, length: int) -> list[int]:
    import numpy as np

    counts: list[int] = np.bincount(codes, minlength=length).tolist()
    return counts


def _try_function(passes: Passes, fitted: Fitted, place: int, step: Called) -> Fitted:
    """Call the function with the first rows, to learn the types of what it returns."""
    import pyarrow as pa

    stage = FunctionStage(fitted.code(step.code), step.label, schema=None)
    schemas = []
    for table in islice(passes.first(fitted, place), _TRIED_BATCHES):
        made = stage(table)
        schemas.append(
            made.drop_columns([name for name in made.column_names if name.startswith(HIDDEN)]).schema
        )
    if not schemas:
        raise InvalidDataset(
            f"no rows are left before step {step.label}()", "loosen the steps before it that remove rows"
        )
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidDataset(
            f"step {step.label}() returns a column of different types: {error}", "give each column one type"
        ) from error
    check_names(schema.names, in_words(step))
    return fitted.learnt(place, State(schema=packed(_settled(passes, schema))))


def _settled(passes: Passes, schema: Any) -> Any:
    """Return the types as the engine gives them back; a column of which nothing is known holds numbers."""
    import pyarrow as pa

    known = pa.schema(
        [
            pa.field(field.name, pa.float64() if pa.types.is_null(field.type) else field.type)
            for field in schema.remove_metadata()
        ]
    )
    with passes.engine() as engine:
        return engine.run("SELECT * FROM batch", known.empty_table()).schema


def _fit_transformer(passes: Passes, fitted: Fitted, place: int, step: Transformed) -> Fitted:
    """Fit a transformer on the training rows, or on as many of them as fit in memory."""
    import cloudpickle

    with passes.engine() as engine:
        before = pipeline(fitted, engine, shard=passes.shards[0].index, upto=place).schema
    target = fitted.plan.target
    columns = transformed_columns(step, visible(dict.fromkeys(before.names, "")), target)
    missing = [name for name in columns if name not in before.names]
    if missing:
        raise InvalidRequest(
            f"{in_words(step)}: {missing[0]!r} is not a column", f"columns are {before.names!r}"
        )
    transformer = fitted.code(step.code)
    labels = [target] if target and target in before.names and _takes_target(transformer) else []
    wanted = columns + labels
    sample = Sample((passes.memory_mib << 20) // 2, fitted.plan.seed)

    def collect(_: Engine, shard: Shard, tables: Iterator[Any]) -> None:
        first_row = 0
        for table in tables:
            rows = _training(table)
            sample.add(rows.select(wanted), shard.index, first_row)
            first_row += table.num_rows

    passes.each(fitted, place, collect, frozenset(wanted))
    rows = sample.table()
    if rows is None or not rows.num_rows:
        raise InvalidDataset(f"no rows are left to fit {step.label} on", "loosen the steps before it")
    frame = rows.to_pandas()
    transformer.fit(frame[columns], *(frame[name] for name in labels))
    stage = TransformerStage(transformer, columns, step.label, schema=None)
    schema = _settled(passes, stage.output(rows.slice(0, 1000)).schema)
    path = Path(passes.scratch) / f"transformer-{uuid.uuid4().hex}.pickle"
    path.write_bytes(cloudpickle.dumps(transformer))
    notes = []
    if rows.num_rows < sample.seen:
        notes = [
            f"{step.label} was fitted on a sample of {rows.num_rows:,} of {sample.seen:,} rows, for memory."
        ]
    return fitted.learnt(place, State(schema=packed(schema)), *notes, file=path)


def _training(table: Any) -> Any:
    import pyarrow.compute as pc

    return table.filter(pc.invert(table.column(TEST))) if TEST in table.column_names else table


def _takes_target(transformer: Any) -> bool:
    """Whether ``fit`` takes the target beside the features, as scikit-learn's pipelines pass it."""
    parameters = list(inspect.signature(transformer.fit).parameters.values())
    return len(parameters) > 1 and parameters[1].kind is not inspect.Parameter.KEYWORD_ONLY
