"""Two samples of one column compared: how far apart they are, and whether that is chance."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.profiling.describing import moment_text
from mltemporal.profiling.kinds import TIMES
from mltemporal.profiling.sketches import ColumnSketch
from mltemporal.words import number

if TYPE_CHECKING:
    import numpy as np

_BINS = 10
_BARS = 20
_CATEGORIES = 20
_RARE = 0.01
_NAMED = 5
OTHER = "other values"


@dataclass(frozen=True)
class Comparison:
    """What two samples of a column have to do with each other."""

    values: tuple[int, int]
    """How many values each has."""
    psi: float = 0.0
    test: str = ""
    statistic: float = 0.0
    p_value: float = 1.0
    distance: float = 0.0
    words: str = ""
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()


def compared_numbers(before: ColumnSketch, after: ColumnSketch) -> Comparison:
    """Compare numbers: by Kolmogorov-Smirnov's test, and in bins of a tenth of the earlier rows each.

    Where the earlier sample has 20 different values or fewer, each is a bin.
    """
    import numpy as np
    from scipy.stats import ks_2samp

    old, new = (np.array([value for value in each.numbers if value is not None]) for each in (before, after))
    values = (len(old), len(new))
    if not all(values):
        return Comparison(values)
    test = ks_2samp(old, new, method="asymp")
    limits = _limits(old)
    counts = [_in_bins(each, limits) for each in (old, new)]
    edges = _bars(old, new)
    bars = [_in_bins(each, edges[1:-1]) / len(each) for each in (old, new)]
    middle = [_said(float(np.median(each)), before.kind) for each in (old, new)]
    return Comparison(
        values,
        psi=_psi(*counts),
        test="Kolmogorov-Smirnov",
        statistic=float(test.statistic),
        p_value=float(test.pvalue),
        distance=float(test.statistic),
        words=f"the median went from {middle[0]} to {middle[1]}"
        if middle[0] != middle[1]
        else f"the median stayed {middle[0]}, the values around it spread differently",
        edges=tuple(float(edge) for edge in edges),
        before=tuple(float(share) for share in bars[0]),
        after=tuple(float(share) for share in bars[1]),
    )


def compared_categories(before: ColumnSketch, after: ColumnSketch) -> Comparison:
    """Compare texts and booleans by the chi-squared test; what is rare in both is one category."""
    import numpy as np
    from scipy.stats import chi2_contingency

    old, new = _counted(before), _counted(after)
    values = (old.total(), new.total())
    if not all(values):
        return Comparison(values)
    names = _categories(old, new)
    counts = np.array([[each[name] for name in names] for each in (old, new)])
    rest = np.array([values]).T - counts.sum(axis=1, keepdims=True)
    if rest.any():
        names, counts = [*names, OTHER], np.hstack([counts, rest])
    shares = counts / counts.sum(axis=1, keepdims=True)
    statistic, p_value = 0.0, 1.0
    if len(names) > 1:
        test = chi2_contingency(counts, correction=False)
        statistic, p_value = float(test.statistic), float(test.pvalue)
    return Comparison(
        values,
        psi=_psi(*counts),
        test="chi-squared",
        statistic=statistic,
        p_value=p_value,
        distance=float(np.abs(shares[1] - shares[0]).sum() / 2),
        words=_category_words(names, shares, bool(old[OTHER])),
        labels=tuple(names),
        before=tuple(float(share) for share in shares[0]),
        after=tuple(float(share) for share in shares[1]),
    )


def same_shares(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the chi-squared test's p-value for two counts, each out of a number of rows, being one share."""
    from scipy.stats import chi2_contingency

    counts = [[count, rows - count] for count, rows in (before, after)]
    if not all(map(sum, counts)) or not all(map(sum, zip(*counts, strict=True))):
        return 1.0
    return float(chi2_contingency(counts, correction=False).pvalue)


def _psi(before: np.ndarray, after: np.ndarray) -> float:
    """Return the population stability index; half a row in each bin keeps empty ones finite."""
    import numpy as np

    used = before + after > 0
    before, after = before[used], after[used]
    old, new = ((each + 0.5) / (each.sum() + 0.5 * len(each)) for each in (before, after))
    return float(((new - old) * np.log(new / old)).sum())


def _limits(numbers: np.ndarray) -> np.ndarray:
    """Return the inner limits of the bins."""
    import numpy as np

    seen = np.unique(numbers)
    if len(seen) <= 2 * _BINS:
        return np.sort(np.concatenate([seen, np.nextafter(seen, np.inf)]))  # and what lies between them
    return np.unique(np.quantile(numbers, np.arange(1, _BINS) / _BINS))


def _in_bins(numbers: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return how many numbers are below the first limit, between the first and the second, and so on."""
    import numpy as np

    counts: np.ndarray = np.bincount(
        np.searchsorted(limits, numbers, side="right"), minlength=len(limits) + 1
    )
    return counts


def _bars(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the limits of the bars to draw: of equal width, over nearly all of both samples."""
    import numpy as np

    ends = np.array([np.quantile(each, (0.01, 0.99)) for each in (old, new)])
    low, high = ends.min(), ends.max()
    if not (high > low and math.isfinite(high - low)):
        low, high = low - 0.5, low + 0.5
    return np.linspace(low, high, _BARS + 1)


def _counted(column: ColumnSketch) -> Counter[str]:
    names = {-2: OTHER, **dict(enumerate(column.values))}
    return Counter(names[code] for code in column.codes if code != -1)


def _categories(old: Counter[str], new: Counter[str]) -> list[str]:
    """Return the values that are not rare in one of the samples, the most frequent ones first."""
    shares = {
        name: max(old[name] / old.total(), new[name] / new.total()) for name in {*old, *new} if name != OTHER
    }
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    return [name for name in ordered if shares[name] >= _RARE][:_CATEGORIES]


def _category_words(names: list[str], shares: np.ndarray, more: bool) -> str:
    before, after = ([f"{100 * share:.3g} %" for share in each] for each in shares)
    unseen = [index for index, name in enumerate(names) if name != OTHER and not shares[0][index]]
    if unseen and not more:  # every value of the earlier sample is known
        shown = ", ".join(f"{names[index]!r} ({after[index]})" for index in unseen[:_NAMED])
        return f"values that were not there before: {shown}"
    most = int(abs(shares[1] - shares[0]).argmax())
    name = OTHER if names[most] == OTHER else repr(names[most])
    return f"{name} went from {before[most]} to {after[most]} of the rows"


def _said(value: float, kind: str) -> str:
    if kind in TIMES:
        return str(moment_text(int(value * 1e6), kind, ""))
    return number(value)
