"""Rows to predict, made what the training rows were made: the same steps, every row kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mltemporal import steps
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.binding import named, reads
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.naming import HIDDEN, listed
from mltemporal.preparation.plan import Plan, in_words
from mltemporal.preparation.sources import fitting, read_as, restored
from mltemporal.preparation.stages import REMOVING, Pipeline, pipeline


def transform(fitted: Fitted, batch: Any) -> Any:
    """Return rows as the fitted steps make them for a model: as many as come in, in their order.

    Steps that remove rows (drop missing and duplicates, filter, split) are passed over. The target may be
    missing, and so may be columns that no step needs. For one thread at a time.

    Args:
        batch: an arrow record batch or table, with the columns of the dataset that the steps were fitted on.

    Returns:
        An arrow table.

    Raises:
        InvalidDataset: a column that a step needs is missing, or has a type that does not fit.
        InvalidRequest: a function changes the number of rows.
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    names = tuple(name for name in fitted.schema.names if name in table.column_names)
    if names not in fitted.made:
        fitted.made[names] = _prepared(fitted, names)
    prepared, wanted, output = fitted.made[names]
    result = prepared(fitting(table.select(names), wanted, "what is to be predicted"))
    return output.empty_table() if result is None else fitting(result, output, "what the steps made")


def _prepared(fitted: Fitted, names: tuple[str, ...]) -> tuple[Pipeline, Any, Any]:
    import pyarrow as pa

    schema = pa.schema([fitted.schema.field(name) for name in names])
    engine = Engine(memory_mib=256, threads=1)
    planned = _without(fitted, frozenset(fitted.schema.names) - frozenset(names), engine)
    prepared = pipeline(fitted, engine, predicting=True, planned=planned, schema=schema)
    wanted = pa.schema([read_as(field) for field in schema])
    output = [restored(field, schema) for field in prepared.schema if not field.name.startswith(HIDDEN)]
    return prepared, wanted, pa.schema(output)


def _without(fitted: Fitted, absent: frozenset[str], engine: Engine) -> tuple[steps.Step | None, ...]:
    """Return the steps without what speaks of ``absent`` columns.

    What only makes the target, or is made of it, is left out; any other that is computed with is missed.
    """
    planned: list[steps.Step | None] = []
    lacking = absent & _makings_of_target(fitted.plan, engine)
    for step in fitted.plan.steps:
        if isinstance(step, REMOVING) or not absent:
            planned.append(None if isinstance(step, REMOVING) else step)
            continue
        touched = reads(step, [], engine, rest=True) & absent
        if isinstance(step, steps.Select | steps.Drop | steps.Rename):
            absent = _moved(step, absent)
            lacking = _moved(step, lacking)
            planned.append(_named_without(step, touched))
        elif touched - lacking:
            raise InvalidDataset(
                f"{in_words(step)} needs {listed(sorted(touched - lacking))}, which the rows to predict lack",
                "give the columns that the dataset had which the model was trained on",
            )
        elif isinstance(step, steps.Derive) and touched:
            kept = {
                name: text
                for name, text in step.expressions.items()
                if not reads(replace(step, expressions={name: text}), [], engine, rest=True) & absent
            }
            made = frozenset(step.expressions) - frozenset(kept)
            absent, lacking = absent | made, lacking | made
            planned.append(replace(step, expressions=kept) if kept else None)
        else:
            planned.append(_named_without(step, touched) if touched else step)
    return tuple(planned)


def _makings_of_target(plan: Plan, engine: Engine) -> frozenset[str]:
    """Return the columns of the dataset that the target is made of: mostly itself, under its first name."""
    makings = frozenset(filter(None, [plan.target]))
    for step in reversed(plan.steps):
        if isinstance(step, steps.Rename):
            old = {new: name for name, new in step.names.items()}
            makings = frozenset(old.get(name, name) for name in makings)
        elif isinstance(step, steps.Derive):
            for name in makings & frozenset(step.expressions):
                used = reads(steps.Derive({name: step.expressions[name]}), [], engine, rest=True)
                makings = (makings - {name}) | used
    return makings


def _moved(step: steps.Step, absent: frozenset[str]) -> frozenset[str]:
    return (
        frozenset(step.names.get(name, name) for name in absent) if isinstance(step, steps.Rename) else absent
    )


def _named_without(step: steps.Step, absent: frozenset[str]) -> steps.Step | None:
    """Return the step without the columns; None where it names no others."""
    kept = tuple(name for name in named(step) if name not in absent)
    if not kept:
        return None
    if isinstance(step, steps.Rename):
        return replace(step, names={name: step.names[name] for name in kept})
    if isinstance(step, steps.Cast):
        return replace(step, types={name: step.types[name] for name in kept})
    if isinstance(step, steps.FillMissing) and step.strategy is None:
        return replace(step, values={name: step.values[name] for name in kept})
    columns: steps.Step = replace(step, columns=kept)  # type: ignore[call-arg]  # all others that name columns
    return columns
