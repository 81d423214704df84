"""The built-in baseline: histogram gradient boosting on a mixed table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltemporal import targets
from mltemporal.code.restoring import restore
from mltemporal.errors import InvalidTrainer
from mltemporal.runtime import control, reporting
from mltemporal.runtime.context import Job
from mltemporal.runtime.evaluation import evaluate, labels
from mltemporal.runtime.splitting import hold_out
from mltemporal.runtime.table import load_table, with_target
from mltemporal.runtime.trainers import Trained
from mltemporal.runtime.trainers.boosting import fit_resumably

if TYPE_CHECKING:
    import pandas

    from mltemporal.encoder import TableEncoder

DEFAULT_ITERATIONS = 300
DEFAULT_ITERATIONS_UNVALIDATED = 100
"""Where nothing stops early, more would only learn the rows by heart."""

_LEAST_ROWS_TO_VALIDATE = 200
_MANY_ROWS = 2000
_LISTED = 8


def train(job: Job) -> Trained:
    """Encode the table, boost, evaluate; an interrupted training goes on at the iteration it was at."""
    reporting.stage("loading the code")
    params = restore(job.spec.trainer, job.storage)
    target = job.spec.target
    if target is None:
        raise InvalidTrainer(
            "the baseline needs a column to predict", 'name it: train(dataset, target="...")'
        )
    frame = with_target(load_table(job), target)
    task, why = targets.task_of(frame[target], target)
    reporting.note(why)
    reporting.stage("preparing the table")
    seen, held_out = hold_out(
        frame, target, share=job.spec.test_size, seed=job.spec.seed, stratify=task == targets.CLASSIFICATION
    )
    features = seen.drop(columns=[target])
    encoder = _encoder(features, params)
    known = labels(seen[target])
    booster = _booster(task, params, known, encoder.categorical_mask(), job.spec.seed)
    matrix = encoder.transform(features)
    control.listen(job, ("checkpoint_now", "stop_early"), stops="it ends after this iteration")
    reporting.stage("training")
    fit_resumably(booster, matrix, known)

    from sklearn.pipeline import Pipeline

    pipeline = Pipeline([("encode", encoder), ("boost", booster)])
    return Trained(
        model=pipeline,
        task=task,
        features=tuple(features.columns),
        metrics=evaluate(pipeline, held_out, target, task),
    )


def _encoder(features: pandas.DataFrame, params: dict[str, Any]) -> TableEncoder:
    """Return the fitted encoder; says what it leaves out and groups."""
    from mltemporal.encoder import MAX_CATEGORIES, TableEncoder

    encoder = TableEncoder(min(MAX_CATEGORIES, params.get("max_bins", MAX_CATEGORIES))).fit(features)
    left_out = [f"{name!r} {reason}" for name, reason in encoder.left_out_.items()]
    if left_out:
        reporting.note(f"columns left out: {_listed(left_out)}")
    if encoder.grouped_:
        reporting.note(
            f"of more than {encoder.max_categories} categories the rarer ones count as one in "
            f"{_listed([repr(name) for name in encoder.grouped_])}"
        )
    return encoder


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return "; ".join(words[:_LISTED]) + more


def _booster(task: str, params: dict[str, Any], known: Any, categorical: list[bool], seed: int) -> Any:
    """Return the booster.

    Losses are only computed with early stopping on; so where it is not wanted it waits for more
    iterations than there are.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    params = dict(params)
    wanted = params.pop("early_stopping", True)
    obstacle = _obstacle_to_validation(task, known)
    if wanted and not obstacle:
        fraction = 0.1 if len(known) >= _MANY_ROWS else 0.2
        params = {"max_iter": DEFAULT_ITERATIONS, "validation_fraction": fraction, **params}
    else:
        params = {"max_iter": DEFAULT_ITERATIONS_UNVALIDATED, **params}
        params |= {"validation_fraction": None, "n_iter_no_change": params["max_iter"] + 1}
        if wanted:
            reporting.note(f"{obstacle}, so all {params['max_iter']} iterations are run: nothing stops early")
    kind = HistGradientBoostingClassifier if task == targets.CLASSIFICATION else HistGradientBoostingRegressor
    return kind(
        **params,
        early_stopping=True,
        scoring="loss",
        categorical_features=categorical if any(categorical) else None,
        random_state=seed,
    )


def _obstacle_to_validation(task: str, known: Any) -> str:
    """Return why no stratified validation part that says something can be held out; empty where it can."""
    import numpy

    if len(known) < _LEAST_ROWS_TO_VALIDATE:
        return f"there are only {len(known):,} rows to train on"
    if task == targets.CLASSIFICATION:
        classes, counts = numpy.unique(known, return_counts=True)
        if counts.min() < 2:
            return f"the class {str(classes[counts.argmin()])[:100]!r} has only one row to train on"
        if len(counts) > 0.1 * len(known):
            return f"{len(counts):,} classes in {len(known):,} rows are many"
    return ""
