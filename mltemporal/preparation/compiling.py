"""Steps as SQL: what each one that DuckDB does looks like.

A plan is a row of steps; what stands here is the SELECT of one, over the table that the step before left.
`stages` nests those that follow each other into one statement. A step that learns (a mean, categories)
finds what it learnt in its `State`; before it has learnt, an empty state gives a statement whose columns
have the same types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mltemporal import steps
from mltemporal.errors import InvalidRequest
from mltemporal.preparation.engine import literal, quoted
from mltemporal.preparation.naming import HIDDEN, TEST
from mltemporal.preparation.state import State
from mltemporal.preparation.types import is_float, is_moment, is_nested, is_number, sql_type

Types = Mapping[str, str]
"""Column name to DuckDB's name of its type; the hidden columns included."""
LEARNT_FILLS = ("mean", "median", "most_frequent")


@dataclass(frozen=True)
class Select:
    """One statement, without its table."""

    columns: str
    where: str = ""

    def over(self, source: str) -> str:
        """Return the statement over a table or a statement in parentheses."""
        return f"SELECT {self.columns} FROM {source}{f' WHERE {self.where}' if self.where else ''}"


@dataclass(frozen=True)
class Fill:
    """How one column is filled."""

    column: str
    strategy: str
    value: Any = None


def compiled(step: steps.Step, types: Types, state: State) -> Select:
    """Return what DuckDB does for ``step``.

    Raises:
        InvalidRequest: it makes no sense for columns of these ``types``.
    """
    select: Select = _COMPILERS[type(step)](step, types, state)
    return select


def visible(types: Types) -> list[str]:
    """Return the columns that people know of."""
    return [name for name in types if not name.startswith(HIDDEN)]


def in_sql(step: steps.Step) -> bool:
    """Whether DuckDB does the step, row by row."""
    if isinstance(step, steps.Split):
        return step.time is not None
    return type(step) in _COMPILERS


def missing(name: str, types: Types) -> str:
    """Return the condition that the column's value is missing."""
    column = quoted(name)
    return f"({column} IS NULL OR isnan({column}))" if is_float(types[name]) else f"({column} IS NULL)"


def present(name: str, types: Types) -> str:
    """Return the column's value, NULL where it is missing."""
    column = quoted(name)
    return f"nullif({column}, CAST('NaN' AS {types[name]}))" if is_float(types[name]) else column


def fills(step: steps.FillMissing, types: Types) -> list[Fill]:
    """Return how each column is filled."""
    if step.strategy is None:
        return [
            Fill(name, value) if value in LEARNT_FILLS else Fill(name, "constant", value)
            for name, value in step.values.items()
        ]
    names = step.columns or [
        name
        for name in visible(types)
        if not is_nested(types[name]) and (is_number(types[name]) or step.strategy == "most_frequent")
    ]
    return [Fill(name, step.strategy, step.value) for name in names]


def _drop_missing(step: steps.DropMissing, types: Types, _: State) -> Select:
    names = step.columns or visible(types)
    return Select("*", " AND ".join(f"NOT {missing(name, types)}" for name in names))


def _fill_missing(step: steps.FillMissing, types: Types, state: State) -> Select:
    replaced = {}
    for fill in fills(step, types):
        kind = types[fill.column]
        if is_nested(kind):
            raise InvalidRequest(
                f"{step!r}: {fill.column!r} is of type {kind}", "fill columns of plain values"
            )
        value = present(fill.column, types)
        if fill.strategy in ("mean", "median"):
            if not is_number(kind):
                raise InvalidRequest(
                    f"{step!r}: {fill.column!r} is of type {kind}, which has no {fill.strategy}",
                    'use "most_frequent" or a value, or cast it to a number first',
                )
            kind = "FLOAT" if kind == "FLOAT" else "DOUBLE"
            value = f"CAST({value} AS {kind})"
        filled = state.values.get(fill.column) if fill.strategy in LEARNT_FILLS else fill.value
        filler = "NULL" if filled is None else literal(_text(filled))
        replaced[fill.column] = f"coalesce({value}, CAST({filler} AS {kind}))"
    return _replace(replaced)


def _cast(step: steps.Cast, types: Types, _: State) -> Select:
    cast = "TRY_CAST" if step.errors == "coerce" else "CAST"
    return _replace(
        {
            name: f"{cast}({present(name, types)} AS {sql_type(to, repr(step))})"
            for name, to in step.types.items()
        }
    )


def _filter(step: steps.Filter, _: Types, __: State) -> Select:
    return Select("*", f"(\n{step.condition}\n)")  # a comment at its end must not swallow what follows


def _select(step: steps.Select, types: Types, _: State) -> Select:
    hidden = [name for name in types if name.startswith(HIDDEN)]
    return Select(", ".join(map(quoted, [*step.columns, *hidden])))


def _drop(step: steps.Drop, types: Types, _: State) -> Select:
    return Select(", ".join(quoted(name) for name in types if name not in step.columns))


def _rename(step: steps.Rename, types: Types, _: State) -> Select:
    return Select(", ".join(f"{quoted(name)} AS {quoted(step.names.get(name, name))}" for name in types))


def _derive(step: steps.Derive, types: Types, state: State) -> Select:
    """What the state names is cast: a decimal, which any literal with a point is in SQL, to double."""
    made = {name: f"(\n{text}\n)" for name, text in step.expressions.items()}
    made |= {name: f"CAST({made[name]} AS {kind})" for name, kind in state.values.items()}
    kept = [f"{made.pop(name)} AS {quoted(name)}" if name in made else quoted(name) for name in types]
    return Select(", ".join([*kept, *(f"{text} AS {quoted(name)}" for name, text in made.items())]))


def _encode(step: steps.Encode, types: Types, state: State) -> Select:
    columns = []
    for name in types:
        if name not in step.columns:
            columns.append(quoted(name))
            continue
        if is_nested(types[name]):
            raise InvalidRequest(
                f"{step!r}: {name!r} is of type {types[name]}", "encode columns of plain values"
            )
        categories = state.values.get(name, [])
        code = _code(name, types, categories)
        grouped = name in state.grouped
        if step.method == "ordinal":
            unseen = len(categories) if grouped else -1
            place = f"CAST(coalesce({code}, {unseen}) AS INTEGER)"
            columns.append(f"CASE WHEN NOT {missing(name, types)} THEN {place} END AS {quoted(name)}")
        else:
            made = _onehot_names(name, [*categories, "other"] if grouped else categories)
            columns += [
                f"CAST(coalesce({code} = {place}, false) AS TINYINT) AS {quoted(made[place])}"
                for place in range(len(categories))
            ]
            if grouped:
                other = f"CAST({code} IS NULL AND NOT {missing(name, types)} AS TINYINT)"
                columns.append(f"{other} AS {quoted(made[-1])}")
    if not columns:
        raise InvalidRequest(f"{step!r} leaves no column, as there are no categories", "keep another column")
    return Select(", ".join(columns))


def _onehot_names(name: str, categories: list[str]) -> list[str]:
    """Return a column's name for each category; those that differ only by case are numbered."""
    seen: Counter[str] = Counter()
    names = []
    for category in categories:
        made = f"{name}_{category}"
        seen[made.lower()] += 1
        count = seen[made.lower()]
        names.append(made if count == 1 else f"{made}_{count}")
    return names


def _code(name: str, types: Types, categories: list[str]) -> str:
    """Return the category's place; an enum finds it by hash, however many there are."""
    if not categories:
        return "CAST(NULL AS INTEGER)"
    values = ", ".join(map(literal, categories))
    return f"enum_code(TRY_CAST(CAST({present(name, types)} AS VARCHAR) AS ENUM({values})))"


def _scale(step: steps.Scale, types: Types, state: State) -> Select:
    scaled = {}
    for name in step.columns:
        if not is_number(types[name]):
            raise InvalidRequest(
                f"{step!r}: {name!r} is of type {types[name]}, which is no number",
                "encode it, or cast it first",
            )
        centre, spread = state.values.get(name, (0.0, 1.0))
        scaled[name] = f"(CAST({quoted(name)} AS DOUBLE) - {number(centre)}) / {number(spread)}"
    return _replace(scaled)


def number(value: float) -> str:
    """Return a float as SQL writes it, to the last digit."""
    return f"CAST('{value!r}' AS DOUBLE)"


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _replace(columns: dict[str, str]) -> Select:
    if not columns:
        return Select("*")
    return Select(f"* REPLACE ({', '.join(f'{text} AS {quoted(name)}' for name, text in columns.items())})")


def _split(step: steps.Split, types: Types, state: State) -> Select:
    """By time; the other ways to split are in `splitting`. Without a time, a row is for training."""
    assert step.time is not None
    kind = types[step.time]
    if not is_moment(kind):
        raise InvalidRequest(
            f"{step!r}: {step.time!r} is of type {kind}, which has no order in time",
            "cast it to a timestamp first",
        )
    start = step.test_from or state.values.get("from")
    first = "NULL" if start is None else literal(start)
    return Select(
        f"*, coalesce({present(step.time, types)} >= CAST({first} AS {kind}), false) AS {quoted(TEST)}"
    )


_COMPILERS: dict[type[steps.Step], Any] = {
    steps.DropMissing: _drop_missing,
    steps.FillMissing: _fill_missing,
    steps.Cast: _cast,
    steps.Filter: _filter,
    steps.Select: _select,
    steps.Drop: _drop,
    steps.Rename: _rename,
    steps.Derive: _derive,
    steps.Encode: _encode,
    steps.Scale: _scale,
    steps.Split: _split,
}
