"""Any scikit-learn-compatible estimator: cloned, fitted on the training part, evaluated on the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltemporal import targets
from mltemporal.code.restoring import restore
from mltemporal.runtime import control, reporting
from mltemporal.runtime.context import Job
from mltemporal.runtime.evaluation import evaluate, features_of, labels
from mltemporal.runtime.splitting import hold_out
from mltemporal.runtime.table import load_table, with_target
from mltemporal.runtime.trainers import Trained
from mltemporal.runtime.trainers.resuming import VERBS, how_to_fit

if TYPE_CHECKING:
    import pandas


def train(job: Job) -> Trained:
    """Fit a clone of the estimator."""
    from sklearn.base import clone

    reporting.stage("loading the code")
    estimator = clone(restore(job.spec.trainer, job.storage), safe=False)
    frame = load_table(job)
    if job.spec.target is None:
        return _without_target(estimator, frame, job)
    target = job.spec.target
    frame = with_target(frame, target)
    task = task_of(estimator, targets.task_of(frame[target], target)[0])
    seen, held_out = hold_out(
        frame, target, share=job.spec.test_size, seed=job.spec.seed, stratify=task == targets.CLASSIFICATION
    )
    features = seen.drop(columns=[target])
    _fit(job, estimator, features, labels(seen[target]))
    return Trained(
        model=estimator,
        task=task,
        features=tuple(features_of(estimator, features, None).columns),
        metrics=evaluate(estimator, held_out, target, task),
    )


def task_of(model: Any, suggested: str) -> str:
    """Return what ``model`` does by its own word, else what the target's values suggest."""
    kind = getattr(model, "_estimator_type", None) or _tagged_type(model)
    if kind is None and hasattr(model, "predict_proba"):
        kind = "classifier"
    return {"classifier": targets.CLASSIFICATION, "regressor": targets.REGRESSION}.get(kind or "", suggested)


def _tagged_type(model: Any) -> str | None:
    try:
        kind: str | None = model.__sklearn_tags__().estimator_type
    except AttributeError:  # no estimator of scikit-learn's kind, or one of an older kind
        return None
    return kind


def _without_target(estimator: Any, frame: pandas.DataFrame, job: Job) -> Trained:
    held_out = frame.iloc[:0]
    if hasattr(estimator, "score"):
        rows = frame.assign(**{_ROW: 0})  # nothing to be stratified by
        seen, held_out = hold_out(rows, _ROW, share=job.spec.test_size, seed=job.spec.seed, stratify=False)
        frame, held_out = seen.drop(columns=[_ROW]), held_out.drop(columns=[_ROW])
    _fit(job, estimator, frame, None)
    metrics = {}
    if not held_out.empty:
        reporting.stage("evaluating")
        metrics["score"] = float(estimator.score(held_out))
    return Trained(model=estimator, features=tuple(frame.columns), metrics=metrics)


_ROW = "__mltemporal_row__"


def _fit(job: Job, estimator: Any, features: pandas.DataFrame, target: Any) -> None:
    resumable = None if target is None else how_to_fit(estimator, len(features))
    control.listen(job, () if resumable is None else VERBS, stops="it ends with what it has")
    reporting.stage("training")
    try:
        if resumable is not None:
            resumable(estimator, features, target)
        elif target is None:
            estimator.fit(features)
        else:
            estimator.fit(features, target)
    except (TypeError, ValueError) as error:
        from pandas.api.types import is_numeric_dtype

        texts = [repr(name) for name in features.columns if not is_numeric_dtype(features[name].dtype)]
        if texts:
            error.add_note(
                f"Columns that hold no numbers: {', '.join(texts[:10])}. If that is the reason, encode"
                " them in a scikit-learn Pipeline, or leave the estimator out: the baseline takes such tables"
            )
        raise
