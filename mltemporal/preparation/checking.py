"""A plan checked in the kernel, before anything starts: names, expressions, types, and what would leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mltemporal import steps
from mltemporal.code.capturing import CapturedCode
from mltemporal.errors import InvalidRequest
from mltemporal.preparation.binding import bound, check_names, check_new, named, reads
from mltemporal.preparation.compiling import fills, in_sql
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitting import learns
from mltemporal.preparation.naming import HIDDEN
from mltemporal.preparation.parsing import with_code, written
from mltemporal.preparation.plan import Called, Plan, Transformed, in_words
from mltemporal.preparation.sources import read_as, restored
from mltemporal.preparation.state import State
from mltemporal.preparation.types import arrow_type
from mltemporal.specs.data import Column
from mltemporal.steps import arguments


def parse_steps(
    steps: Any,
    *,
    columns: Sequence[Column],
    target: str | None = None,
    test_size: float | None = None,
    seed: int = 0,
) -> Plan:
    """Return the checked plan of ``steps`` over a table of these columns; nothing is read or started.

    Args:
        steps: as `mltemporal.steps` makes them, or their names, dicts, functions, transformers; None: none.
        target: the column that will be predicted.
        test_size: with a share, rows are split at random before all steps; None: only a `split` step splits.
        seed: of the split.

    Raises:
        InvalidRequest: a step or a column is unknown, an expression does not parse or is more than a scalar
            expression over the row, a type does not fit, or the test rows would leak into training.
        InvalidTrainer: a function or a transformer cannot be shipped.
    """
    planned = _with_split(written(steps), test_size)
    code: list[CapturedCode] = []
    planned = [with_code(step, code) for step in planned]
    notes = _Leaks(tuple(planned), target).check()
    known = _Known(columns)
    with Engine() as engine:
        for place, step in enumerate(planned):
            check_new(step)
            notes += _target_notes(step, known, engine, target)
            planned[place] = _with_columns(step, known, engine, target)
            known.take(engine, planned[place], target)
    if target is not None and not known.rest and target not in known.names:
        raise InvalidRequest(
            f"the target {target!r} is not among the columns after the steps",
            "keep it, or name another target",
        )
    return Plan(
        steps=tuple(planned),
        target=target,
        seed=seed,
        code=tuple(code),
        columns_after=known.columns(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _with_split(planned: list[steps.Step], test_size: float | None) -> list[steps.Step]:
    splits = [step for step in planned if isinstance(step, steps.Split)]
    if len(splits) > 1:
        raise InvalidRequest(f"{splits[1]!r}: the rows are split already", "keep one split step")
    if test_size is None:
        return planned
    if splits:
        raise InvalidRequest(
            f"both test_size={test_size!r} and {splits[0]!r} are given",
            "leave test_size out: the step says it",
        )
    return [steps.Split(test_size=arguments.share("test_size", test_size)), *planned]


def _with_columns(step: steps.Step, known: _Known, engine: Engine, target: str | None) -> steps.Step:
    """Return the step with the columns that it fills, where it was left to us: never the target."""
    if not isinstance(step, steps.FillMissing) or step.strategy is None or step.columns:
        return step
    if known.rest:
        raise InvalidRequest(
            f"{step!r}: which columns there are after the steps before it, only the rows will tell",
            "name the columns: columns=[...]",
        )
    names = [fill.column for fill in fills(step, engine.types(known.empty)) if fill.column != target]
    if not names:
        raise InvalidRequest(f"{step!r}: no column holds numbers", "name the columns, or use most_frequent")
    return replace(step, columns=tuple(names))


@dataclass(frozen=True)
class _Leaks:
    """What would let the test rows, or the target, into what a model learns from."""

    planned: tuple[steps.Step, ...]
    target: str | None
    notes: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """Refuse leaks, and return in words what is worth a thought.

        Raises:
            InvalidRequest: a step leaks; says why, and what to do.
        """
        split = next((at for at, step in enumerate(self.planned) if isinstance(step, steps.Split)), None)
        for at, step in enumerate(self.planned):
            fitted = (learns(step) and not isinstance(step, steps.Split)) or isinstance(step, Transformed)
            if fitted and split is not None and at < split:
                raise InvalidRequest(
                    f"{in_words(step)} learns from all rows, since it stands before "
                    f"{in_words(self.planned[split])}: the test rows would leak into the training part",
                    "move the split before it",
                )
            if self.target is not None and self.target in named(step):
                self._of_target(step)
        if split is None and any(isinstance(step, Transformed) or learns(step) for step in self.planned):
            self.notes.append(
                "Steps that learn from the rows learn from all of them, as there is no split: a later test "
                "on a part of these rows would look too good."
            )
        return self.notes

    def _of_target(self, step: steps.Step) -> None:
        what = f"{in_words(step)} on the target {self.target!r}"
        if isinstance(step, Transformed) or (isinstance(step, steps.Encode) and step.method == "onehot"):
            raise InvalidRequest(
                f"{what} puts other columns in its place: the answer would be among the features",
                'leave the target out; classes may stay text, or be encoded with method="ordinal"',
            )
        if isinstance(step, steps.FillMissing):
            raise InvalidRequest(
                f"{what} makes answers up where there are none",
                f"drop these rows: drop_missing([{self.target!r}])",
            )
        if isinstance(step, steps.Drop):
            raise InvalidRequest(f"{what} drops it", "keep the target, or name another one")
        if isinstance(step, steps.Scale | steps.Encode):
            self.notes.append(f"{what}: predictions will be in these units.")


def _target_notes(step: steps.Step, known: _Known, engine: Engine, target: str | None) -> list[str]:
    """Warn of features that are made of the target."""
    if target is None or not isinstance(step, steps.Derive) or target not in known.names:
        return []
    return [
        f"The column {name!r} is derived from the target {target!r}: as a feature, it gives the answer away."
        for name, text in step.expressions.items()
        if name != target
        and target in reads(steps.Derive({name: text}), known.names, engine, rest=known.rest)
    ]


class _Known:
    """What is known of the table's columns at a place of the plan, without any rows."""

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa

        for column in columns:
            if column.name.lower().startswith(HIDDEN):
                raise InvalidRequest(
                    f"column {column.name!r}: names that begin with {HIDDEN!r} are ours", "rename it"
                )
        check_names([column.name for column in columns], "the dataset")
        types = {column.name: arrow_type(column.type) for column in columns}
        self._source = pa.schema([(name, type_ or pa.null()) for name, type_ in types.items()])
        self.empty = pa.schema([read_as(each) for each in self._source]).empty_table()
        self._untold = {column.name: column.type for column in columns if types[column.name] is None}
        """Columns whose types only the file tells in full."""
        self.rest = False
        """Whether there may be more columns, whose names only the rows will tell."""

    @property
    def names(self) -> list[str]:
        """The names of the columns that are known."""
        names: list[str] = self.empty.column_names
        return names

    def columns(self) -> tuple[Column, ...] | None:
        """Return all columns, or None where not all are known."""
        if self.rest or "" in self._untold.values():
            return None
        fields = [restored(each, self._source) for each in self.empty.schema]
        return tuple(
            Column(name=each.name, type=self._untold.get(each.name, str(each.type))) for each in fields
        )

    def take(self, engine: Engine, step: steps.Step, target: str | None) -> None:
        """Go through one step.

        Raises:
            InvalidRequest: it does not fit.
        """
        import pyarrow as pa

        touched = reads(step, self.names, engine, rest=self.rest)
        if isinstance(step, Called):
            self.empty, self._untold, self.rest = pa.table({}), {}, True
        elif isinstance(step, Transformed):
            left = set(step.columns) if step.columns is not None else set(self.names) - {target}
            self._keep([name for name in self.names if name not in left])
            self.rest = True
        elif not in_sql(step):
            return
        elif isinstance(step, steps.Encode) and step.method == "onehot":
            if touched <= set(self.names) - set(self._untold):
                bound(engine, step, State(values={name: ["?"] for name in step.columns}), self.empty)
            self._keep([name for name in self.names if name not in step.columns])
            self.rest = True
        elif touched & set(self._untold) or not touched <= set(self.names) or not self.empty.num_columns:
            self._assume(step)
        else:
            _, after = bound(engine, step, State(), self.empty)
            if not isinstance(step, steps.Split):  # its column is ours
                self.empty = after
            if isinstance(step, steps.Rename):
                self._untold = {step.names.get(name, name): type_ for name, type_ in self._untold.items()}
            self._untold = {name: type_ for name, type_ in self._untold.items() if name in self.names}

    def _assume(self, step: steps.Step) -> None:
        """Go through a step over columns of which too little is known to try it."""
        import pyarrow as pa

        if isinstance(step, steps.Select):
            self._keep([name for name in step.columns if name in self.names])
            self.rest |= len(self.names) < len(step.columns)
        elif isinstance(step, steps.Drop):
            self._keep([name for name in self.names if name not in step.columns])
        elif isinstance(step, steps.Rename):
            self.empty = self.empty.rename_columns([step.names.get(name, name) for name in self.names])
            self._untold = {step.names.get(name, name): type_ for name, type_ in self._untold.items()}
        elif not isinstance(step, steps.Filter | steps.DropMissing | steps.Split):
            changed = tuple(step.expressions) if isinstance(step, steps.Derive) else named(step)
            for name in changed:
                if name not in self.names:
                    self.empty = self.empty.append_column(name, pa.array([], pa.null()))
                self._untold[name] = ""

    def _keep(self, names: list[str]) -> None:
        self.empty = self.empty.select(names)
        self._untold = {name: type_ for name, type_ in self._untold.items() if name in names}
