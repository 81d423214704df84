"""A user's function ``fit(data, **params)``. scikit-learn is not loaded before it has run."""

from __future__ import annotations

import inspect
import numbers
from typing import TYPE_CHECKING, Any

from mltemporal import targets
from mltemporal.code.restoring import restore
from mltemporal.runtime import control, reporting
from mltemporal.runtime.context import Job
from mltemporal.runtime.evaluation import evaluate, features_of
from mltemporal.runtime.splitting import hold_out
from mltemporal.runtime.stopping import run_users_code
from mltemporal.runtime.table import load_table
from mltemporal.runtime.trainers import Trained
from mltemporal.runtime.trainers.estimator import task_of

if TYPE_CHECKING:
    import pandas


def train(job: Job) -> Trained:
    """Call the function with the training part (the whole table where there is no target)."""
    reporting.stage("loading the code")
    function, params = restore(job.spec.trainer, job.storage)
    data, target = load_table(job), job.spec.target
    held_out = data.iloc[:0]
    suggested = ""
    if target is not None:
        suggested = targets.task_of(data[target], target)[0]
        data, held_out = hold_out(
            data,
            target,
            share=job.spec.test_size,
            seed=job.spec.seed,
            stratify=suggested == targets.CLASSIFICATION,
        )
        data = data.reset_index(drop=True)
    defaults = _defaults(function)
    known = [name for name in {**defaults, **params} if name.isidentifier()]
    params |= control.listen(job, control.ALL, values=defaults | params, known=known)
    reporting.stage("training")
    model, metrics, value = _sorted_out(run_users_code(lambda: _call(function, data, params)))
    if model is None:
        return Trained(value=value, metrics=metrics)
    if target is None:
        return Trained(model=model, metrics=metrics)
    task = task_of(model, suggested)
    return Trained(
        model=model,
        task=task,
        features=tuple(features_of(model, data, target).columns),
        metrics=evaluate(model, held_out, target, task) | metrics,  # the user's own word counts
    )


def _defaults(function: Any) -> dict[str, Any]:
    """Return the function's own values of its parameters: those that were not given may be set, too."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):  # some functions written in C do not say what they take
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    of_names = [each for each in parameters if each.kind in named]
    return {each.name: each.default for each in of_names if each.default is not each.empty}


def _call(function: Any, data: pandas.DataFrame, params: dict[str, Any]) -> Any:
    returned = function(data, **params)
    if not inspect.isawaitable(returned):
        return returned
    import asyncio

    async def wait() -> Any:
        return await returned

    return asyncio.run(wait())


def _sorted_out(returned: Any) -> tuple[Any, dict[str, float], Any]:
    """Return model, metrics and value of what a function returned."""
    if is_model(returned):
        return returned, {}, None
    if (
        isinstance(returned, tuple)
        and len(returned) == 2
        and is_model(returned[0])
        and _is_metrics(returned[1])
    ):
        return returned[0], _as_metrics(returned[1]), None
    if _is_metrics(returned):
        return None, _as_metrics(returned), returned
    return None, {}, returned


def is_model(value: Any) -> bool:
    """Whether a value is a fitted model: an object (no class, no module) with a method ``predict``."""
    return (
        not inspect.isclass(value)
        and not inspect.ismodule(value)
        and callable(getattr(value, "predict", None))
    )


def _is_metrics(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(name, str) and isinstance(number, numbers.Real) for name, number in value.items())


def _as_metrics(value: dict[str, Any]) -> dict[str, float]:
    import math

    return {name: float(number) for name, number in value.items() if math.isfinite(number)}
