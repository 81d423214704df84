"""One attempt at a job, from reading what was asked for to writing how it ended."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import islice
from typing import Any

from mltemporal.errors import MLTemporalError
from mltemporal.progress import MAX_NAME_LENGTH
from mltemporal.runtime import artifacts, context, control, curve, packages, reporting, stopping
from mltemporal.runtime.context import STORAGE_PATIENCE_S, Job
from mltemporal.runtime.failure import failure_of, users_traceback
from mltemporal.runtime.trainers import Trained, trainer_for
from mltemporal.specs.data import ModelRef, ObjectRef
from mltemporal.specs.orders import NEWEST
from mltemporal.specs.results import RunFailure, RunOutput
from mltemporal.storage.content import Storage
from mltemporal.words import shortened

_FEATURES_BYTES = 128 << 10
_MOST_METRICS = 500
"""Beyond it nobody reads them, and a workflow's history would have to carry them."""


def main(argv: list[str]) -> int:
    """Run the attempt and return the process's exit code.

    0: the note ``<attempt>/output`` holds the result. 1: the note ``<attempt>/failure`` holds the
    reason, and standard error the traceback. 75 (``EX_TEMPFAIL``): storage was away, also for the
    note. 143: the attempt was asked to stop and did.
    """
    reporting.open_output()
    reporting.begin()
    reporting.write_whole_lines()
    stopping.stop_on_sigterm()
    storage, key, attempt = argv
    job = Job(Storage(storage, patience_s=STORAGE_PATIENCE_S), key, int(attempt))
    try:
        context.enter(job)
        _run(job)
    except stopping.Stopped:
        reporting.stage("stopped")
        return stopping.EXIT_CODE
    except BaseException as error:
        if stopping.asked():
            _log(users_traceback(error))
            reporting.stage("stopped")
            return stopping.EXIT_CODE
        return _fail(job, error)
    finally:
        control.close()
        reporting.flush()
    return 0


def _run(job: Job) -> None:
    if job.spec.pod.packages:
        packages.install(job.spec.pod.packages)
    output = _train(job) if job.spec.kind == "training" else _work_through(job)
    if output is None:
        return  # the first of several ranks returns the result
    stopping.raise_if_asked()
    with stopping.uninterrupted():
        reporting.flush()
        curve.keep(job)
        newest = job.storage.get_note(job.key, NEWEST, int) or job.attempt
        if newest > job.attempt:
            reporting.note(f"attempt {newest} has taken the place of this one, whose result is not kept")
            raise stopping.Stopped(stopping.EXIT_CODE)
        job.storage.put_note(job.key, f"{job.attempt}/output", replace(output, artifacts=artifacts.told()))


def _train(job: Job) -> RunOutput | None:
    trained = trainer_for(job.spec.trainer.kind)(job)
    if job.rank:
        return None
    return RunOutput(
        model=_save_model(job, trained),
        value=_save_value(job, trained.value),
        metrics=_few_metrics(trained.metrics),
        notes=reporting.notes(),
    )


def _work_through(job: Job) -> RunOutput | None:
    """Do what goes through a whole dataset, shard by shard; loads its module now, and not the other's."""
    if job.spec.kind == "preprocessing":
        from mltemporal.runtime import preprocessing

        return preprocessing.run(job)
    from mltemporal.runtime import inference

    return inference.run(job)


def _save_model(job: Job, trained: Trained) -> ModelRef | None:
    if trained.model is None:
        return None
    from mltemporal.model_files import save_model

    reporting.stage("saving the model")
    return save_model(
        trained.model,
        job.storage,
        label=shortened(type(trained.model).__name__, 100)
        if job.spec.trainer.kind == "function"
        else job.spec.trainer.label,
        task=trained.task,
        target=job.spec.target,
        features=_few(trained.features),
    )


def _few(features: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the features, or none where they are too many to be carried everywhere."""
    if sum(len(name.encode(errors="replace")) + 3 for name in features) <= _FEATURES_BYTES:
        return features
    reporting.note(
        f"the names of {len(features):,} columns are too many to be kept with the model: "
        "it predicts for tables with just its columns, in its order"
    )
    return ()


def _few_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are kept with the result: so many that a history can carry them."""
    kept = {
        name: value for name, value in islice(metrics.items(), _MOST_METRICS) if len(name) <= MAX_NAME_LENGTH
    }
    if len(kept) < len(metrics):
        reporting.note(
            f"of {len(metrics):,} metrics of the result {len(kept):,} are kept: the first {_MOST_METRICS:,}, "
            f"with names of at most {MAX_NAME_LENGTH} characters"
        )
    return kept


def _save_value(job: Job, value: Any) -> ObjectRef | None:
    if value is None:
        return None
    from mltemporal.model_files import store_pickled

    return store_pickled(
        value,
        job.storage,
        what=f"what the training returned (a {type(value).__name__})",
        instead="return a model, numbers or other plain values; keep the rest with log_artifact",
    )


def _fail(job: Job, error: BaseException) -> int:
    """Write why the attempt failed: to the log, and for the monitor. Returns the exit code."""
    failure = failure_of(error)
    _log(failure.traceback)
    name = f"{job.attempt}/failure"
    try:
        # Of several ranks the first that fails is the reason; the others follow from it.
        if job.storage.get_note(job.key, name, RunFailure) is None:
            job.storage.put_note(job.key, name, failure)
        reporting.flush()
        curve.keep(job)
    except MLTemporalError as away:
        _log(f"The reason could not be stored: {away}")
        return os.EX_TEMPFAIL if failure.retryable else 1
    return 1


def _log(text: str) -> None:
    """Write to standard error, which is the job's log."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)  # noqa: T201
