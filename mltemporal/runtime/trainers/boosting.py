"""Boosting that reports each iteration and can go on after an interruption.

scikit-learn has no public hook in histogram boosting, and fitting in pieces by `warm_start` bins
the data anew for each piece. So the method that computes the losses after each iteration is
watched on the one instance that is being fitted; the fitted object is scikit-learn's own. Where a
future version has no such method, the training runs all the same and reports at its end.
"""

from __future__ import annotations

import copy
import time
from typing import Any

from mltemporal.runtime import checkpoint, control, reporting, stopping

_HOOK = "_check_early_stopping_loss"
_CHECKPOINT_EVERY_S = 1.0
_CHECKPOINT_SHARE = 0.05
"""Most of the time that checkpoints may take."""


def can_be_watched(booster: Any) -> bool:
    """Whether this version of scikit-learn has the method that is watched."""
    return hasattr(booster, _HOOK)


def fit_resumably(booster: Any, features: Any, target: Any) -> None:
    """Fit ``booster`` in place, from the last checkpoint of the job on where there is one.

    An interrupted and resumed training gives the same model as an undisturbed one.
    """
    _resume(booster)
    booster.set_params(warm_start=True)
    if not hasattr(booster, _HOOK):
        booster.fit(features, target)
        _report_all(booster)
    elif booster.__dict__.get("_predictors") is None or booster.n_iter_ < booster.max_iter:
        _fit_watched(booster, features, target)
    booster.set_params(warm_start=False)


def _fit_watched(booster: Any, features: Any, target: Any) -> None:
    setattr(booster, _HOOK, _Watcher(booster))
    try:
        with stopping.deferred():
            booster.fit(features, target)
    finally:
        delattr(booster, _HOOK)


class _Watcher:
    """Stands in for the method that checks the losses: calls it, reports, saves now and then."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._check = getattr(booster, _HOOK)
        self._iteration = 0
        self._save_at = time.monotonic() + _CHECKPOINT_EVERY_S

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        stop: bool = self._check(*args, **kwargs)
        self._iteration = len(self._booster.train_score_) - 1  # the first score is from before any tree
        _report(self._booster, self._iteration)
        control.heed(whole=False)
        if stopping.asked():
            self.save()  # the next attempt goes on here
            stopping.raise_if_asked()
        if control.should_stop():
            return True
        if control.wants_checkpoint() or (not stop and time.monotonic() >= self._save_at):
            started = time.monotonic()
            self.save()
            ended = time.monotonic()
            self._save_at = ended + max(_CHECKPOINT_EVERY_S, (ended - started) / _CHECKPOINT_SHARE)
        return stop

    def save(self) -> None:
        """Keep the booster as it was after the last whole iteration."""
        if self._iteration > 0:
            snapshot = _snapshot(self._booster, self._iteration)
            checkpoint.save({"booster": snapshot, "sklearn": _version()}, step=self._iteration)


def _snapshot(booster: Any, iterations: int) -> Any:
    """Return a copy that looks as if the fit had ended after ``iterations``."""
    import numpy

    snapshot = copy.copy(booster)
    for name in (_HOOK, "_in_fit"):
        snapshot.__dict__.pop(name, None)
    snapshot._predictors = booster._predictors[:iterations]  # noqa: SLF001
    snapshot.train_score_ = numpy.asarray(booster.train_score_[: iterations + 1])
    snapshot.validation_score_ = numpy.asarray(booster.validation_score_[: iterations + 1])
    return snapshot


def _resume(booster: Any) -> None:
    saved = checkpoint.load()
    if not isinstance(saved, dict) or "booster" not in saved:
        return
    if saved.get("sklearn") != _version():
        reporting.note("the checkpoint is of another version of scikit-learn: the training starts anew")
        return
    params = booster.get_params()
    vars(booster).update(vars(saved["booster"]))
    booster.set_params(**params)
    reporting.note(f"resumed after iteration {booster.n_iter_:,} from a checkpoint")


def _version() -> str:
    import sklearn

    return str(sklearn.__version__)


def _report(booster: Any, iteration: int) -> None:
    metrics = {"train_loss": -float(booster.train_score_[iteration])}
    if len(booster.validation_score_) > iteration:
        metrics["validation_loss"] = -float(booster.validation_score_[iteration])
    reporting.report(step=iteration, total=booster.max_iter, **metrics)


def _report_all(booster: Any) -> None:
    for iteration in range(len(booster.train_score_)):
        _report(booster, iteration)
