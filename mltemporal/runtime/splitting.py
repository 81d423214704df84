"""The held-out part: rows that the training does not see, for the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

LEAST_ROWS = 5
"""Below this a table is too small to hold anything out."""


def hold_out(
    frame: pandas.DataFrame, target: str, *, share: float, seed: int, stratify: bool
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Return the training part and the held-out part, both in the table's row order.

    The same table, share and seed give the same parts. Rows without a target are never held out;
    stratified, each class keeps its share to within one row, and a class of one row is trained on.
    It is scikit-learn's idea in NumPy: importing that would delay the user's function by seconds.

    Args:
        share: of the rows, 0 to below 1; 0 holds nothing out.
    """
    import numpy

    labelled = frame[target].notna().to_numpy()
    if share <= 0 or labelled.sum() < LEAST_ROWS:
        return frame, frame.iloc[:0]
    codes = numpy.zeros(len(frame), dtype=numpy.intp)
    if stratify:
        codes[:] = frame[target].astype("category").cat.codes
        labelled = labelled & (numpy.bincount(codes[labelled])[codes] > 1)
    random = numpy.random.default_rng(seed)
    rows = random.permutation(numpy.flatnonzero(labelled))
    rows = rows[numpy.argsort(codes[rows], kind="stable")]
    # Walking over the rows, class after class, each step adds the share; a row is held out
    # where the sum passes a whole number. So the total and each class come out to within one row.
    passed = numpy.floor(numpy.arange(len(rows) + 1) * share + random.random())
    held_out = numpy.zeros(len(frame), dtype=bool)
    held_out[rows[numpy.diff(passed) > 0]] = True
    return frame[~held_out], frame[held_out]
