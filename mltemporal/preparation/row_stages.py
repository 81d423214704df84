"""Stages that row by row need no Python: statements of DuckDB, sides of the split, rows left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mltemporal import steps
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.compiling import Select
from mltemporal.preparation.engine import Engine, first_line, memory_told, quoted
from mltemporal.preparation.naming import HIDDEN, ROW, TEST
from mltemporal.preparation.plan import in_words
from mltemporal.preparation.splitting import Stratified, by_hash

Piece = tuple[steps.Step | None, Select]
"""A statement, and the step that it does; None: something of ours."""
BY = HIDDEN + "by_"
"""How the columns are named that are carried along for `ByHash`."""


class Statement:
    """Steps that DuckDB does, nested into one statement."""

    def __init__(self, engine: Engine, pieces: list[Piece]) -> None:
        self._engine, self._pieces = engine, pieces

    def over(self, source: str) -> str:
        """Return the statement over a table or a statement in parentheses."""
        for _, select in self._pieces:
            source = f"({select.over(source)})"
        return f"FROM {source}"

    def __call__(self, table: Any) -> Any:
        """Return what the steps make of the rows.

        Raises:
            InvalidDataset: a value does not fit a step; says which.
        """
        import duckdb

        if not self._pieces:
            return table
        try:
            with memory_told():
                return self._engine.run(self.over("batch"), table)
        except duckdb.Error as error:
            raise self._blamed(table, error) from error

    def _blamed(self, table: Any, error: Exception) -> InvalidDataset:
        """Run step by step, to name the one that fails."""
        import duckdb

        for step, select in self._pieces:
            try:
                table = self._engine.run(select.over("batch"), table)
            except duckdb.Error as reason:
                if isinstance(step, steps.Cast):
                    hint = 'write cast(..., errors="coerce") to make such values missing'
                else:
                    hint = "filter such rows out before it, or write TRY_CAST and CASE in the expression"
                what = in_words(step) if step else "a step"
                return InvalidDataset(f"{what} failed: {first_line(reason)}", hint)
        return InvalidDataset(f"the steps failed: {first_line(error)}", "simplify them")


@dataclass(frozen=True)
class ByHash:
    """Adds whether a row is a test row, by what some columns held at the split."""

    values: dict[str, str]
    """By column: where its values are now."""
    share: float
    seed: int

    def __call__(self, table: Any) -> Any:
        """Return the rows with `TEST`."""
        values = table.select(list(self.values.values())).rename_columns(list(self.values))
        sides = by_hash(values, list(self.values), self.share, self.seed)
        carried = [name for name in self.values.values() if name.startswith(BY)]
        return table.drop_columns(carried).append_column(TEST, sides)


@dataclass(frozen=True)
class ByClass:
    """Adds whether a row is a test row, by its place in its class."""

    engine: Engine
    column: str
    sides: Stratified

    def __call__(self, table: Any) -> Any:
        """Return the rows with `TEST`."""
        query = f"SELECT CAST({quoted(self.column)} AS VARCHAR) AS class FROM batch"
        return table.append_column(TEST, self.sides(self.engine.run(query, table).column("class")))


class Without:
    """Drops the rows with these numbers."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = numbers

    def __call__(self, table: Any) -> Any:
        """Return the rows that stay."""
        import numpy as np
        import pyarrow as pa

        if not len(self._numbers):
            return table
        rows = table.column(ROW).to_numpy()
        return table.filter(pa.array(~np.isin(rows, self._numbers)))
