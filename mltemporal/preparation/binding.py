"""A step bound to a table's columns: names looked up, expressions checked, types tried on an empty table.

The kernel binds a plan before anything starts, and a job binds it again to the columns that are there: no
expression reaches the engine that was not checked in the same process.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from mltemporal import steps
from mltemporal.errors import InvalidRequest
from mltemporal.preparation.compiling import Select, compiled, visible
from mltemporal.preparation.engine import Engine, first_line, quoted
from mltemporal.preparation.expressions import check_expression
from mltemporal.preparation.naming import HIDDEN, unknown
from mltemporal.preparation.plan import Transformed, in_words
from mltemporal.preparation.state import State

_LISTING = (
    steps.DropMissing,
    steps.DropDuplicates,
    steps.Select,
    steps.Drop,
    steps.Encode,
    steps.Scale,
    Transformed,
)


def named(step: steps.Step) -> tuple[str, ...]:
    """Return the columns that a step names, outside of expressions."""
    if isinstance(step, _LISTING):
        return step.columns or ()
    if isinstance(step, steps.FillMissing):
        return tuple(step.values) or step.columns or ()
    if isinstance(step, steps.Cast):
        return tuple(step.types)
    if isinstance(step, steps.Rename):
        return tuple(step.names)
    if isinstance(step, steps.Split):
        return step.by or step.group or tuple(filter(None, (step.stratify, step.time)))
    return ()


def expressions(step: steps.Step) -> tuple[str, ...]:
    """Return the SQL expressions of a step."""
    if isinstance(step, steps.Filter):
        return (step.condition,)
    return tuple(step.expressions.values()) if isinstance(step, steps.Derive) else ()


def reads(step: steps.Step, known: list[str], engine: Engine, *, rest: bool = False) -> frozenset[str]:
    """Return the columns that a step names, in its expressions or outside of them.

    Args:
        rest: whether there may be columns that are not ``known`` yet.

    Raises:
        InvalidRequest: there is no such column, or an expression is not allowed.
    """
    where = in_words(step)
    for name in () if rest else named(step):
        if name not in known:
            raise unknown(f"{where}: {name!r} is not a column", name, known)
    found = set(named(step))
    for text in expressions(step):
        expression = check_expression(engine, text, step.word)
        found |= expression.columns([*known, *expression.names] if rest else known, step.word)
    return frozenset(found)


def bound(engine: Engine, step: steps.Step, state: State, empty: Any) -> tuple[Select, Any]:
    """Return a step's statement, and the empty arrow table that it leaves of the ``empty`` one before it.

    Raises:
        InvalidRequest: a column is missing, a type does not fit, or two columns get one name.
    """
    types = engine.types(empty)
    reads(step, visible(types), engine)
    select, after = _tried(engine, step, state, empty, types)
    check_names(after.column_names, in_words(step))
    if isinstance(step, steps.Derive) and (casts := _decimals(engine, step, after)):
        select, after = _tried(engine, step, replace(state, values=casts), empty, types)
    return select, after


def check_names(names: list[str], where: str) -> None:
    """Refuse columns that SQL could not tell apart, or that bear a name of ours.

    Raises:
        InvalidRequest: names them.
    """
    counts = Counter(name.lower() for name in names)
    twice = [name for name in names if counts[name.lower()] > 1]
    if twice:
        raise InvalidRequest(
            f"{where}: the columns {', '.join(map(repr, twice[:4]))} are one, since SQL ignores capitals",
            "rename one of them",
        )


def check_new(step: steps.Step) -> None:
    """Refuse names for new columns that are kept for the engine.

    Raises:
        InvalidRequest: names it.
    """
    made = tuple(step.names.values()) if isinstance(step, steps.Rename) else ()
    for name in tuple(step.expressions) if isinstance(step, steps.Derive) else made:
        if name.lower().startswith(HIDDEN):
            raise InvalidRequest(
                f"{step!r}: names that begin with {HIDDEN!r} are ours", "choose another name"
            )


def _tried(engine: Engine, step: steps.Step, state: State, empty: Any, types: Any) -> tuple[Select, Any]:
    import duckdb

    select = compiled(step, types, state)
    try:
        after = engine.run(select.over("batch"), empty)
        for value in _constants(step, select, types):
            engine.execute(value)
    except duckdb.Error as error:
        raise InvalidRequest(
            f"{in_words(step)} does not fit the columns: {first_line(error)}",
            "columns are " + ", ".join(f"{name} {types[name]}" for name in visible(types)[:30]),
        ) from error
    return select, after


def _constants(step: steps.Step, select: Select, types: Any) -> list[str]:
    """Return statements that compute what depends on no row: an empty table would not show that it fails."""
    if isinstance(step, steps.FillMissing):
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items())
        return [f"{select.over(f'(SELECT {nothing})')}"]
    if isinstance(step, steps.Split) and step.test_from is not None and step.time is not None:
        return [f"SELECT CAST('{step.test_from.replace(chr(39), chr(39) * 2)}' AS {types[step.time]})"]
    return []


def _decimals(engine: Engine, step: steps.Derive, after: Any) -> dict[str, str]:
    types = engine.types(after)
    return {
        name: "DOUBLE"
        for name in step.expressions
        if types[name].startswith(("DECIMAL", "HUGEINT", "UHUGEINT"))
    }
