"""Estimators of scikit-learn's whose fit can go on after an interruption, and comes to the same model.

Histogram boosting, iteration by iteration (see `boosting`), and forests, some trees at a time: their
`warm_start` draws the random numbers of the trees that are there already. What cannot be resumed to the very
same model (other gradient boosting, neural networks, what sits in a pipeline or a search) is fitted at once.
"""

from __future__ import annotations

import time
from typing import Any

from mltemporal.runtime import checkpoint, control, reporting, stopping
from mltemporal.runtime.trainers.boosting import can_be_watched, fit_resumably

VERBS = ("checkpoint_now", "stop_early")
_PIECE_S = 2.0
"""About so long a piece of a forest takes: after each it can be saved."""
_SHARE = 0.05
"""Most of the time that checkpoints may take."""


def how_to_fit(estimator: Any, rows: int) -> Any:
    """Return the function ``(estimator, features, target)`` that fits resumably; None where none can.

    Only scikit-learn's own classes: a class derived from them may do anything in its fit.
    """
    kind, module = type(estimator).__name__, type(estimator).__module__
    if not module.startswith("sklearn.ensemble.") or getattr(estimator, "warm_start", True):
        return None
    if kind in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        stops = estimator.early_stopping is True or (estimator.early_stopping == "auto" and rows > 10_000)
        whole = getattr(estimator, "max_features", 1.0) == 1.0  # or features are drawn in each iteration
        if not whole or not can_be_watched(estimator) or (stops and estimator.scoring != "loss"):
            return None
        return _boost if stops else _boost_to_the_end
    forests = ("RandomForest", "ExtraTrees")
    if kind.removesuffix("Classifier").removesuffix("Regressor") in forests:
        seeded = isinstance(estimator.random_state, int)
        weighted = isinstance(getattr(estimator, "class_weight", None), str)
        return _grow if seeded and not weighted and not estimator.oob_score else None
    return None


def _boost(booster: Any, features: Any, target: Any) -> None:
    fit_resumably(booster, features, target)


def _boost_to_the_end(booster: Any, features: Any, target: Any) -> None:
    """Boost where nothing stops early; losses are only computed with early stopping on: it waits in vain."""
    names = ("early_stopping", "scoring", "validation_fraction", "n_iter_no_change")
    params = {name: getattr(booster, name) for name in names}
    booster.set_params(
        early_stopping=True, scoring="loss", validation_fraction=None, n_iter_no_change=booster.max_iter + 1
    )
    try:
        fit_resumably(booster, features, target)
    finally:
        booster.set_params(**params)


def _grow(forest: Any, features: Any, target: Any) -> None:
    """Fit a forest some trees at a time."""
    total, trees = forest.n_estimators, _resume(forest)
    piece, save_after_s = max(1, total // 50), 1.0
    saved_at = time.monotonic()
    forest.set_params(warm_start=True)
    while trees < total and not (trees and control.should_stop()):  # no tree is no model
        started = time.monotonic()
        forest.set_params(n_estimators=min(total, trees + piece))
        with stopping.deferred():
            forest.fit(features, target)
            trees = len(forest.estimators_)
            reporting.report(step=trees, total=total)
            ended = time.monotonic()
            due = ended - saved_at > save_after_s or stopping.asked() or control.wants_checkpoint()
            if due and trees < total:
                checkpoint.save({"forest": forest, "sklearn": _version()}, step=trees)
                saved_at = time.monotonic()
                save_after_s = max(1.0, (saved_at - ended) / _SHARE)
        each_s = max(1e-6, (ended - started) / piece)
        piece = max(1, min(2 * piece, int(_PIECE_S / each_s)))
    forest.set_params(warm_start=False, n_estimators=trees)


def _resume(forest: Any) -> int:
    """Take over the trees of the last checkpoint; returns how many."""
    saved = checkpoint.load()
    if not isinstance(saved, dict) or "forest" not in saved:
        return 0
    if saved.get("sklearn") != _version():
        reporting.note("the checkpoint is of another version of scikit-learn: the training starts anew")
        return 0
    params = forest.get_params(deep=False)
    vars(forest).update(vars(saved["forest"]))
    forest.set_params(**params)
    trees = len(forest.estimators_)
    reporting.note(f"resumed after {trees:,} trees from a checkpoint")
    return trees


def _version() -> str:
    import sklearn

    return str(sklearn.__version__)
