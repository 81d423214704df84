"""What a table is like, column by column: small, kept with the dataset, shown in notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Rows in intervals of equal width; what lies outside is counted in the outermost ones."""

    low: float
    high: float
    counts: tuple[int, ...]
    """At most 20."""


@dataclass(frozen=True, kw_only=True)
class Top:
    """A value and in how many rows it stands."""

    value: str
    """As text, at most 80 characters."""
    count: int


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """What one column is like."""

    name: str
    type: str
    """Arrow's name of the type."""
    kind: str
    """``integer``, ``number``, ``text``, ``boolean``, ``date``, ``timestamp`` or ``other``."""
    nulls: int
    """Rows without a value; NaN is none."""
    distinct: int | None = None
    """Different values; None for kinds that are not compared (lists, bytes …)."""
    approximate: bool = False
    """Whether ``distinct`` is an estimate, a few per cent off."""
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    """Of numbers (infinite ones apart), and of dates and times as ISO text."""
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    """At 5, 25, 50, 75 and 95 %."""
    infinite: int = 0
    histogram: Histogram | None = None
    """Of numbers; of dates and times in seconds since 1970."""
    top: tuple[Top, ...] = ()
    """The most frequent values, at most 10."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a table is like."""

    rows: int
    duplicates: int
    """Rows that stand there already: without them, every row is different."""
    columns: tuple[ColumnProfile, ...]
    warnings: tuple[str, ...] = ()
    """What to look at before training, in sentences."""
    sampled: int = 0
    """Of how many rows quantiles and histograms were made, and counts of columns with many values; where
    this is less than ``rows``, counts are scaled up."""
    target: str | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """One row a column, for sorting and filtering."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "column": column.name,
                    "type": column.type,
                    "nulls": column.nulls,
                    "null_share": column.nulls / self.rows if self.rows else 0.0,
                    "distinct": column.distinct,
                    "min": column.minimum,
                    "max": column.maximum,
                    "mean": column.mean,
                    "std": column.std,
                    **{
                        f"{share:.0%}": column.quantiles[index] if column.quantiles else None
                        for index, share in enumerate(QUANTILES)
                    },
                    "top": {top.value: top.count for top in column.top},
                }
                for column in self.columns
            ]
        ).astype({"distinct": "Int64", "mean": "float64", "std": "float64"})

    def plot(self) -> Figure:
        """Return a figure with a small chart for each of the first 24 columns."""
        from mltemporal.plots.profile import plot_profile

        return plot_profile(self)

    def __repr__(self) -> str:
        from mltemporal.profiling.page import profile_text

        return profile_text(self)

    def _repr_html_(self) -> str:
        from mltemporal.profiling.page import profile_page

        return profile_page(self)
