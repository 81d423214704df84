"""The final evaluation on held-out rows, under scikit-learn's names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mltemporal.runtime import reporting

if TYPE_CHECKING:
    import pandas


def evaluate(model: Any, held_out: pandas.DataFrame, target: str, task: str) -> dict[str, float]:
    """Return how well ``model`` predicts ``target`` in ``held_out``; empty where nothing was held out.

    A model that cannot predict these rows is not lost: the note says why there are no figures.

    Args:
        task: ``classification`` or ``regression``.
    """
    if held_out.empty:
        return {}
    reporting.stage("evaluating")
    features = features_of(model, held_out, target)
    truth = labels(held_out[target])
    try:
        metrics = (
            _classification(model, features, truth)
            if task == "classification"
            else _regression(model, features, truth)
        )
    except Exception as error:
        reporting.note(f"the model was trained and not evaluated: {type(error).__name__}: {str(error)[:300]}")
        return {}
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def features_of(model: Any, frame: pandas.DataFrame, target: str | None) -> pandas.DataFrame:
    """Return the columns that ``model`` was trained on, where it says so, else all but the target."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None and set(names) <= set(frame.columns):
        return frame[list(names)]
    return frame.drop(columns=[target]) if target in frame.columns else frame


def labels(target: pandas.Series) -> Any:
    """Return a target without missing values as the plain array that scikit-learn takes."""
    import pandas

    target = target.infer_objects()
    if pandas.api.types.is_bool_dtype(target.dtype):
        return target.to_numpy(dtype=bool)
    if pandas.api.types.is_numeric_dtype(target.dtype):
        kind = "int64" if pandas.api.types.is_integer_dtype(target.dtype) else "float64"
        return target.to_numpy(dtype=kind)
    return target.to_numpy(dtype=object)


def _regression(model: Any, features: pandas.DataFrame, truth: Any) -> dict[str, float]:
    from sklearn import metrics

    predicted = model.predict(features)
    return {
        "r2": float(metrics.r2_score(truth, predicted)) if len(truth) > 1 else math.nan,
        "mean_absolute_error": float(metrics.mean_absolute_error(truth, predicted)),
        "root_mean_squared_error": float(metrics.root_mean_squared_error(truth, predicted)),
    }


def _classification(model: Any, features: pandas.DataFrame, truth: Any) -> dict[str, float]:
    from sklearn import metrics

    predicted = model.predict(features)
    result = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "balanced_accuracy": _balanced_accuracy(truth, predicted),
        "f1_macro": float(metrics.f1_score(truth, predicted, average="macro", zero_division=0)),
    }
    if hasattr(model, "predict_proba"):
        result |= _probabilistic(model, features, truth)
    return result


def _balanced_accuracy(truth: Any, predicted: Any) -> float:
    """The mean recall of the classes that are there; scikit-learn's own warns of the ones that are not."""
    import numpy

    recalls = [float(numpy.mean(predicted[truth == label] == label)) for label in numpy.unique(truth)]
    return sum(recalls) / len(recalls)


def _probabilistic(model: Any, features: pandas.DataFrame, truth: Any) -> dict[str, float]:
    import numpy
    from sklearn import metrics

    classes = numpy.asarray(model.classes_)
    if len(classes) < 2 or not numpy.isin(truth, classes).all():
        return {}  # a class that training never saw has no probability
    probabilities = model.predict_proba(features)
    result = {"log_loss": float(metrics.log_loss(truth, probabilities, labels=classes))}
    if len(numpy.unique(truth)) == len(classes):
        if len(classes) == 2:
            area = metrics.roc_auc_score(truth == classes[1], probabilities[:, 1])
        else:
            area = metrics.roc_auc_score(truth, probabilities, multi_class="ovr", labels=classes)
        result["roc_auc"] = float(area)
    return result
