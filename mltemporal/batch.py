"""`preprocess` and `predict`: whole datasets, worked through shard by shard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mltemporal import launching, request, scoring, session, tables
from mltemporal.handles import InferenceJob, PreprocessingJob
from mltemporal.keywords import explained
from mltemporal.launching import DryRun
from mltemporal.placement import check_apart, check_output, output_place, placement
from mltemporal.specs.request import InferenceSpec, JobSpec, PreparationSpec, TrainerRef

if TYPE_CHECKING:
    from mltemporal.specs.data import Expectation
    from mltemporal.specs.request import Resources


@explained
def preprocess(
    dataset: object,
    *,
    steps: Sequence[object] | None = None,
    target: str | None = None,
    test_size: float | None = None,
    name: str | None = None,
    expectations: Mapping[str, Mapping[str, Any]] | Sequence[Expectation] | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    shards: int | None = None,
    workers: int | None = None,
    tags: Sequence[str] = (),
    backend: str | None = None,
    image: str | None = None,
    resources: Mapping[str, Any] | Resources | None = None,
    packages: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    retries: int = 2,
    timeout: str | float | timedelta = "24h",
    seed: int = 0,
    force: bool = False,
    dry_run: bool = False,
    pod_template: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> PreprocessingJob | DryRun:
    """Profile a dataset, apply steps and write a new, registered dataset; returns at once.

    Rows stream through in bounded memory, shard by shard and side by side. An interrupted run goes on
    at the shard.

    Args:
        dataset: as for `train`.
        steps: what to do, in order: of `mltemporal.steps`, by name (``"drop_duplicates"``,
            ``{"filter": "age > 18"}``), a function from DataFrame to DataFrame (called batch by batch), or a
            scikit-learn transformer. None only profiles (then nothing is copied, and what is found out
            is kept with the dataset), and splits where ``test_size`` is given.
        target: the column that will be predicted; it is never encoded or scaled.
        test_size: share of the rows held out as ``.test``, by a seeded hash of the row, before any other
            step; `steps.split` splits in other ways. None, and no such step: one dataset.
        name: what the new dataset is registered as (``<name>-train`` and ``<name>-test`` where it is
            split); by default the old one's name, with ``-prepared`` where there are steps.
        expectations: what columns of the result must be like:
            ``{"age": {"min": 0, "max": 120, "null_share": 0.01}, "id": {"unique": True}}``; keys are
            ``type``, ``min``, ``max``, ``null_share``, ``unique`` and ``allowed``. They are kept with the
            dataset and checked again before each training on it.
        output: folder or ``s3://`` prefix for the new dataset; by default in the storage.
        overwrite: whether something that is there may be replaced.
        shards: about how many parts to work in; by default of about a million rows.
        workers: how many shards are worked on at once: processes of this machine, or pods.
        tags: texts to find the job by; this and what follows is as for `train`.
        backend: ``"local"`` or ``"kubernetes"``.
        image: the container image of a Kubernetes job.
        resources: ``{"cpu": 2}``; on Kubernetes also ``memory`` and others, for each worker.
        packages: what pip installs in a Kubernetes job first.
        env: more environment variables; no place for secrets.
        secrets: Kubernetes Secrets by name.
        retries: how often a run that was interrupted starts again.
        timeout: how long it may take.
        seed: of the split.
        force: start another job even where the same one runs already.
        dry_run: check everything that can be checked and start nothing; returns a `DryRun`.
        pod_template: a pod template that is merged over ours.

    Returns:
        The handle; its result has ``.dataset``, or ``.train`` and ``.test``.

    Raises:
        InvalidRequest: something asked for is wrong (an unknown step or column, an expression that does
            not parse or reads anything else, a step that leaks test rows into training, an output
            that exists); nothing was started or stored.
        ServiceUnavailable: the embedded services, the database or storage do not answer.

    Idempotency: the same request while its job is alive attaches to that job.
    """
    from mltemporal.code.versions import check_environment
    from mltemporal.preparation.checking import parse_steps
    from mltemporal.profiling.expectations import parse_expectations

    here = session.current()
    seed = request.whole_number("seed", seed, 0, 2**32 - 1)
    shards = None if shards is None else request.whole_number("shards", shards, 1, 1_000_000)
    wanted = placement(
        here.settings,
        workers=workers,
        backend=backend,
        image=image,
        resources=resources,
        packages=packages,
        env=env,
        secrets=secrets,
        retries=retries,
        timeout=timeout,
        pod_template=pod_template,
    )
    labels = request.labels("tags", tags)
    registered = tables.known(here, dataset)
    checked = tables.checked(here, dataset, registered)
    plan = parse_steps(steps, columns=checked.columns, target=target, test_size=test_size, seed=seed)
    check_environment(plan.versions)
    expected = parse_expectations(expectations, plan.columns_after or checked.columns)
    stem = checked.label if registered is not None else os.path.splitext(checked.label)[0]
    default = f"{stem}-prepared" if plan.steps_in_words else stem
    named = request.label("name", name or default[-100:])
    place = output_place(output)
    check_apart(place, launching.sketched(dataset, registered).uri)
    trainer = TrainerRef(kind="steps", label=_counted(len(plan.steps_in_words)), versions=plan.versions)
    launcher = here.launcher(wanted["backend"])
    key = launching.new_key("preprocessing")
    common: dict[str, Any] = {
        "key": key,
        "name": named,
        "kind": "preprocessing",
        "trainer": trainer,
        "target": target,
    }
    sketch = JobSpec(dataset=launching.sketched(dataset, registered), **common, **wanted)
    launcher.check(sketch)
    if dry_run:
        return launching.rehearsed(
            here,
            launcher,
            sketch,
            dataset=checked.label,
            steps="; ".join(plan.steps_in_words) or "none",
            makes=" and ".join(plan.parts),
        )
    here.ready()
    ref = checked.store(here.storage)
    asked = (ref.fingerprint, plan.fingerprint, expected, place, shards, target, named, wanted)
    fingerprint = launching.fingerprint("preprocessing", *asked)
    check_output(here, place, fingerprint, overwrite=overwrite, force=force)
    preparation = PreparationSpec(
        plan=plan.store(here.storage),
        steps=plan.steps_in_words,
        expectations=expected,
        output=place,
        shards=shards,
        overwrite=overwrite,
    )
    job = launching.launch(
        here,
        launcher,
        JobSpec(dataset=ref, preparation=preparation, seed=seed, **common, **wanted),
        fingerprint=fingerprint,
        tags=labels,
        note=" ".join(plan.notes),
        force=force,
        verb="preprocess",
    )
    assert isinstance(job, PreprocessingJob)
    return job


@explained
def predict(
    model: object,
    dataset: object,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    shards: int | None = None,
    workers: int | None = None,
    keep: Sequence[str] = (),
    probabilities: bool = False,
    preprocess: bool | None = None,
    drift: bool = True,
    name: str | None = None,
    tags: Sequence[str] = (),
    backend: str | None = None,
    image: str | None = None,
    resources: Mapping[str, Any] | Resources | None = None,
    packages: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    retries: int = 2,
    timeout: str | float | timedelta = "24h",
    force: bool = False,
    dry_run: bool = False,
    pod_template: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> InferenceJob | DryRun:
    """Score a dataset with a model, shard by shard; returns at once.

    Each shard is written once and whole; an interrupted run goes on at the shard.

    Args:
        model: a finished training job, its id or name, a fitted model, or the path of a ``.skops``,
            ``.joblib`` or ``.pkl`` file (which runs code of its maker when the job loads it: name only
            files that you trust).
        dataset: as for `train`; its columns must be those that the model was trained on.
        output: folder or ``s3://`` prefix for the predictions; by default in the storage.
        overwrite: whether something that is there may be replaced.
        shards: about how many parts to work in; by default of about a million rows.
        workers: how many shards are scored at once: processes of this machine, or pods.
        keep: columns that are passed through to the output.
        probabilities: also write a column ``probability_<class>`` for each class.
        preprocess: whether the steps that made the training data are applied first; by default where
            the dataset was not made by them already.
        drift: whether inputs and predictions are compared with the training data.
        name: what to call the job.
        tags: this and what follows is as for `preprocess`.
        backend: ``"local"`` or ``"kubernetes"``.
        image: the container image of a Kubernetes job.
        resources: for each worker.
        packages: what pip installs in a Kubernetes job first.
        env: more environment variables; no place for secrets.
        secrets: Kubernetes Secrets by name.
        retries: how often a run that was interrupted starts again.
        timeout: how long it may take.
        force: start another job even where the same one runs already.
        dry_run: check everything that can be checked and start nothing; returns a `DryRun`.
        pod_template: a pod template that is merged over ours.

    Returns:
        The handle; its result has ``.rows``, ``.uri`` and ``.frame(limit=None)``, in the input's row order.

    Raises:
        InvalidRequest: the model does not exist or is not finished, columns are missing or of other
            types, the output exists; nothing was started or stored.
        VersionMismatch: the model was made by another Python or scikit-learn than is here.
        ServiceUnavailable: the embedded services, the database or storage do not answer.

    Idempotency: the same request while its job is alive attaches to that job.
    """
    here = session.current()
    shards = None if shards is None else request.whole_number("shards", shards, 1, 1_000_000)
    wanted = placement(
        here.settings,
        workers=workers,
        backend=backend,
        image=image,
        resources=resources,
        packages=packages,
        env=env,
        secrets=secrets,
        retries=retries,
        timeout=timeout,
        pod_template=pod_template,
    )
    labels = request.labels("tags", tags)
    found = scoring.find_model(here, model)
    registered = tables.known(here, dataset)
    checked = tables.checked(here, dataset, registered)
    pipeline, note = scoring.pipeline_for(found, registered, preprocess)
    unknown = scoring.check_columns(found, checked, pipeline)
    kept = scoring.check_kept(keep, checked)
    named = request.label("name", name or f"{found.label}-predictions"[-100:])
    place = output_place(output)
    check_apart(place, launching.sketched(dataset, registered).uri)
    trainer = TrainerRef(kind="model", label=found.label)
    launcher = here.launcher(wanted["backend"])
    key = launching.new_key("inference")
    common: dict[str, Any] = {"key": key, "name": named, "kind": "inference", "trainer": trainer}
    sketch = JobSpec(dataset=launching.sketched(dataset, registered), **common, **wanted)
    launcher.check(sketch)
    if wanted["backend"] == "local":
        found.check_versions()
    if dry_run:
        return launching.rehearsed(
            here,
            launcher,
            sketch,
            dataset=checked.label,
            model=found.label,
            columns=unknown or note or "as trained on",
        )
    here.ready()
    ref = checked.store(here.storage)
    stored = found.store(here.storage)
    inference = InferenceSpec(
        model=stored,
        model_job=found.job_id,
        pipeline=pipeline,
        reference=found.trained_on if drift else None,
        output=place,
        keep=kept,
        probabilities=bool(probabilities),
        shards=shards,
        overwrite=overwrite,
    )
    same = replace(inference, model=found.meant(stored))
    fingerprint = launching.fingerprint("inference", ref.fingerprint, same, named, wanted)
    check_output(here, place, fingerprint, overwrite=overwrite, force=force)
    job = launching.launch(
        here,
        launcher,
        JobSpec(dataset=ref, inference=inference, **common, **wanted),
        fingerprint=fingerprint,
        tags=labels,
        note=note,
        force=force,
        verb="predict",
    )
    assert isinstance(job, InferenceJob)
    return job


def _counted(steps: int) -> str:
    return "profile only" if not steps else f"{steps} step{'s' if steps > 1 else ''}"
