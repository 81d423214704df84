"""A model's answers for a batch of rows, as arrow columns beside the columns that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidDataset, InvalidRequest, InvalidTrainer

if TYPE_CHECKING:
    import pandas

PREDICTION = "prediction"
PROBABILITY = "probability"


def is_taken(name: str) -> bool:
    """Whether a column of this name would hide one that predictions are written to."""
    return name == PREDICTION or name.startswith((f"{PREDICTION}_", f"{PROBABILITY}_"))


def features_in(frame: pandas.DataFrame, features: Sequence[str], target: str | None) -> pandas.DataFrame:
    """Return the columns that the model takes; where that is not known, all but the target.

    Raises:
        InvalidDataset: one is missing.
    """
    if not features:
        return frame.drop(columns=[target]) if target in frame.columns else frame
    missing = [name for name in features if name not in frame.columns]
    if missing:
        raise InvalidDataset(
            f"the dataset lacks columns that the model takes: {', '.join(map(repr, missing[:10]))}",
            "add them, or name the preprocessing that makes them",
        )
    return frame if list(frame.columns) == list(features) else frame[list(features)]


def predictions(model: Any, frame: pandas.DataFrame, *, probabilities: bool) -> dict[str, Any]:
    """Return the columns ``prediction`` (or ``prediction_0`` … of several outputs) and probabilities.

    The values are arrow arrays of as many rows as ``frame`` has.

    Raises:
        InvalidTrainer: the model returns another number of rows, or values that make no column.
        InvalidRequest: probabilities are wanted and the model gives none.
    """
    columns = _columns(PREDICTION, model.predict(frame), len(frame))
    if probabilities:
        check_probabilities(model)
        shares, classes = model.predict_proba(frame), getattr(model, "classes_", None)
        several = isinstance(shares, list)  # of several outputs, scikit-learn returns one each
        for i, each in enumerate(shares if several else [shares]):
            stem = f"{PROBABILITY}_{i}" if several else PROBABILITY
            names = classes[i] if several and classes is not None else classes
            columns |= _columns(stem, each, len(frame), None if names is None else list(names))
    return columns


def check_probabilities(model: Any) -> None:
    """Refuse a model without ``predict_proba``.

    Raises:
        InvalidRequest: it gives no probabilities.
    """
    if not hasattr(model, "predict_proba"):
        raise InvalidRequest(
            f"a {type(model).__name__} gives no probabilities",
            "leave probabilities= out, or use a classifier",
        )


def _columns(stem: str, values: Any, rows: int, names: list[Any] | None = None) -> dict[str, Any]:
    import numpy
    import pyarrow as pa

    array = numpy.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if array.ndim not in (1, 2) or len(array) != rows:
        raise InvalidTrainer(
            f"the model's answer to {rows:,} rows has the shape {array.shape}",
            "let predict return one value (or one row of values) for each row that it is given",
        )
    if array.ndim == 2 and array.shape[1] == 1 and names is None:
        array = array[:, 0]
    by_name = {stem: array}
    if array.ndim == 2:
        by_name = {f"{stem}_{name}": array[:, i] for i, name in enumerate(names or range(array.shape[1]))}
    try:
        return {name: pa.array(column, from_pandas=True) for name, column in by_name.items()}
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidTrainer(
            f"what the model predicts cannot be stored in a column: {error}",
            "let predict return numbers, booleans, texts or dates",
        ) from error
