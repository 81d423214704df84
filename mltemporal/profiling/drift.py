"""Whether one table is still like another, column by column.

A column **moved** when a test says that the difference is no chance *and* the difference is large:

- the test is Kolmogorov-Smirnov's for numbers, the chi-squared one for categories (both scipy's), at
  p < 0.001 divided by the number of columns (Bonferroni), so that a wide table raises no false alarm;
- large is a population stability index of 0.2 or more (between the 0.1 and the 0.25 of Siddiqi, *Credit
  Risk Scorecards*, 2006, from which a shift is called small and large), or at least 15 % of the rows that
  would have to change sides: the Kolmogorov-Smirnov distance, or the total variation distance. In a
  big sample a trifle is no chance either, and nobody wants to hear of it.

A column moved as well when its share of missing values changed by 10 % of the rows or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.profiling.comparing import Comparison, compared_categories, compared_numbers, same_shares
from mltemporal.profiling.sketches import ColumnSketch, Sketch

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

P_VALUE = 0.001
PSI = 0.2
DISTANCE = 0.15
NULL_SHARE = 0.1
ENOUGH = 20
"""Of fewer values nothing is said."""


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """How far one column moved."""

    name: str
    kind: str
    psi: float
    """The population stability index: 0 where nothing changed."""
    test: str
    """``Kolmogorov-Smirnov`` or ``chi-squared``; empty where there were too few values."""
    statistic: float
    p_value: float
    distance: float
    """The share of the rows that would have to change sides, 0 to 1."""
    nulls_before: float
    nulls_after: float
    """Shares of missing values, 0 to 1."""
    moved: bool
    words: str
    """What changed, for a person."""
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    """Of numbers, the limits of the bars, one more than there are bars."""
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    """Shares of the values in each bar."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far a table moved from another: the columns by their population stability index, largest first."""

    rows_before: int
    rows_after: int
    columns: tuple[ColumnDrift, ...]
    left_out: tuple[str, ...] = ()
    """Columns that are in one of the tables only, or cannot be compared."""

    @property
    def moved(self) -> tuple[str, ...]:
        """The names of the columns that moved."""
        return tuple(column.name for column in self.columns if column.moved)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a column."""
        import pandas as pd

        facts = ("psi", "distance", "test", "statistic", "p_value", "nulls_before", "nulls_after", "words")
        rows = [
            (column.name, column.moved, *(getattr(column, fact) for fact in facts)) for column in self.columns
        ]
        return pd.DataFrame(rows, columns=["column", "moved", *facts])

    def plot(self) -> Figure:
        """Return a figure with a small chart, before and after, of each column that moved."""
        from mltemporal.plots.drift import plot_drift

        return plot_drift(self)

    def __repr__(self) -> str:
        from mltemporal.profiling.drift_page import drift_text

        return drift_text(self)

    def _repr_html_(self) -> str:
        from mltemporal.profiling.drift_page import drift_page

        return drift_page(self)


def compare(reference: Sketch, current: Sketch) -> Drift:
    """Return how far the table of ``current`` moved from that of ``reference``. Deterministic."""
    before = {column.name: column for column in reference.columns}
    after = {column.name: column for column in current.columns}
    shared = [name for name in before if name in after and _comparable(before[name], after[name])]
    columns = [
        _compare_column(before[name], after[name], reference.rows, current.rows, len(shared))
        for name in shared
    ]
    left_out = [
        name for name in (*before, *after, *reference.left_out, *current.left_out) if name not in shared
    ]
    return Drift(
        rows_before=reference.rows,
        rows_after=current.rows,
        columns=tuple(sorted(columns, key=lambda column: (-column.psi, column.name))),
        left_out=tuple(dict.fromkeys(left_out)),
    )


def _comparable(before: ColumnSketch, after: ColumnSketch) -> bool:
    return (before.kind in ("text", "boolean")) == (after.kind in ("text", "boolean")) and (
        (before.kind in ("date", "timestamp")) == (after.kind in ("date", "timestamp"))
    )


def _compare_column(
    before: ColumnSketch, after: ColumnSketch, rows_before: int, rows_after: int, columns: int
) -> ColumnDrift:
    significant = P_VALUE / max(1, columns)
    shares = before.nulls / max(1, rows_before), after.nulls / max(1, rows_after)
    chance = same_shares((before.nulls, rows_before), (after.nulls, rows_after))
    nulls_moved = abs(shares[1] - shares[0]) >= NULL_SHARE and chance < significant
    compared = (
        compared_categories(before, after)
        if before.kind in ("text", "boolean")
        else compared_numbers(before, after)
    )
    enough = min(compared.values) >= ENOUGH
    large = compared.psi >= PSI or compared.distance >= DISTANCE
    values_moved = enough and large and compared.p_value < significant
    return ColumnDrift(
        name=before.name,
        kind=before.kind,
        psi=_rounded(compared.psi) if enough else 0.0,
        test=compared.test if enough else "",
        statistic=_rounded(compared.statistic) if enough else 0.0,
        p_value=_rounded(compared.p_value) if enough else 1.0,
        distance=_rounded(compared.distance) if enough else 0.0,
        nulls_before=_rounded(shares[0]),
        nulls_after=_rounded(shares[1]),
        moved=values_moved or nulls_moved,
        words=_words(compared, shares, enough, values_moved, nulls_moved),
        labels=compared.labels,
        edges=tuple(_rounded(edge) for edge in compared.edges),
        before=tuple(round(share, 4) for share in compared.before),
        after=tuple(round(share, 4) for share in compared.after),
    )


def _words(
    compared: Comparison,
    shares: tuple[float, float],
    enough: bool,
    values_moved: bool,
    nulls_moved: bool,
) -> str:
    sentences = []
    if values_moved:
        sentences.append(compared.words)
    if nulls_moved:
        sentences.append(f"missing in {_percent(shares[1])} of the rows instead of {_percent(shares[0])}")
    if not enough:
        sentences.append(f"only {_listed(compared.values)} values: too few to compare")
    return "; ".join(sentences)


def _listed(counts: Iterable[int]) -> str:
    return " and ".join(f"{count:,}" for count in counts)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
