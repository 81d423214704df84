"""The verbs: check the request, store it, start the workflow, return a handle."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mltemporal import background, owner, request, session
from mltemporal.errors import InvalidRequest
from mltemporal.handles import TrainingJob, present_launch
from mltemporal.specs import DatasetRef, JobSpec, JobStatus, TrainerRef, encode

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.code import CapturedCode
    from mltemporal.database import JobRow
    from mltemporal.dataset import CheckedDataset
    from mltemporal.launchers.base import Launcher
    from mltemporal.runs import RunHistory
    from mltemporal.specs import PodOptions, Resources


@dataclass(frozen=True)
class DryRun:
    """What `train` would start; everything in it was checked."""

    summary: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(["Everything that can be checked is right; nothing was started.", *self.summary])


def train(
    dataset: object,
    trainer: object = None,
    *,
    target: str | None = None,
    params: Mapping[str, Any] | None = None,
    name: str | None = None,
    tags: Sequence[str] = (),
    backend: str | None = None,
    image: str | None = None,
    resources: Mapping[str, Any] | Resources | None = None,
    nodes: int = 1,
    packages: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    retries: int = 2,
    timeout: str | float | timedelta = "24h",
    test_size: float = 0.2,
    seed: int = 0,
    force: bool = False,
    dry_run: bool = False,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Mapping[str, Any]] = (),
    affinity: Mapping[str, Any] | None = None,
    priority_class: str | None = None,
    service_account: str | None = None,
    image_pull_secrets: Sequence[str] = (),
    volumes: Mapping[str, str | Mapping[str, Any]] | None = None,
    pod_template: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> TrainingJob | DryRun:
    """Train outside the kernel, durably; returns at once.

    Args:
        dataset: a pandas, polars or pyarrow table, a scikit-learn Bunch, or the path or URI of a
            parquet or CSV file, directory or glob. Tables are stored once, files stay where they are.
        trainer: None (a gradient-boosting baseline), a scikit-learn-compatible estimator, a function
            ``fit(data, **params)``, a `Script`, or a `Container`.
        target: the column to predict; the baseline and supervised estimators find it where it is clear.
        params: arguments of the function, parameters of the estimator, or options of the script.
        name: what to call the job; by default what trains.
        tags: texts to find the job by.
        backend: where it runs: ``"local"`` or ``"kubernetes"``; by default what the settings say.
        image: the container image of a Kubernetes job, with the kernel's version of Python, mltemporal and
            what the code uses; by default what the settings say.
        resources: ``{"cpu": 2}``; on Kubernetes also ``memory``, ``gpu``, ``ephemeral-storage`` and any
            resource by its name: ``{"cpu": 4, "memory": "16Gi", "gpu": 1, "example.com/fpga": 2}``.
        nodes: how many pods train together; a function, script or container finds ``RANK``,
            ``WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT`` in its environment. Rank 0
            reports and returns.
        packages: what pip installs in a Kubernetes job before the code is loaded: ``["lightgbm>=4"]``.
        secrets: Kubernetes Secrets of the namespace, by name: as environment variables (``"wandb"``), or
            as files (``"wandb:/var/run/wandb"``). Their values never leave the cluster.
        env: more environment variables for the job; they are part of its record, so no place for secrets.
        retries: how often a training that was interrupted (killed, not failed) starts again.
        timeout: how long the job may take, retries and waiting for a slot included: ``"90s"``, ``"24h"``,
            or a number of seconds.
        test_size: share of the rows held out for the evaluation, where there is a target; 0 for none.
        seed: of the split and of the baseline.
        force: start another job even where the same one runs already.
        dry_run: check everything that can be checked, by the cluster too, and start nothing; returns a
            `DryRun`.
        node_selector: labels of the nodes that may be used (this and what follows: Kubernetes).
        tolerations: as in a pod's spec.
        affinity: as in a pod's spec.
        priority_class: name of a PriorityClass.
        service_account: what the pods run as, for workload identity; no token is mounted.
        image_pull_secrets: names of Secrets for the registry.
        volumes: mount path to the name of a claim, or to a volume source as in a pod's spec.
        pod_template: everything else: a pod template (a dict, or the path of a YAML file), merged over
            ours as Kubernetes merges.

    Returns:
        The job's handle; that of the running job where the same request runs already.

    Raises:
        InvalidRequest: something asked for is wrong (`InvalidDataset`, `InvalidTrainer`,
            `VersionMismatch`); nothing was started or stored.
        ServiceUnavailable: the embedded services, the database or storage do not answer.

    Idempotency: the same request while its job is alive attaches to that job.
    """
    from mltemporal.code import capture, check_environment
    from mltemporal.dataset import inspect

    here = session.current()
    # First what is checked in no time, last what reads the data.
    wanted: dict[str, Any] = {
        "test_size": request.share("test_size", test_size),
        "seed": request.whole_number("seed", seed, 0, 2**32 - 1),
        "backend": request.backend(backend, here.settings.backend),
        "resources": request.resources(resources),
        "pod": request.pod_options(
            image=image,
            nodes=nodes,
            packages=packages,
            secrets=secrets,
            node_selector=node_selector,
            tolerations=tolerations,
            affinity=affinity,
            priority_class=priority_class,
            service_account=service_account,
            image_pull_secrets=image_pull_secrets,
            volumes=volumes,
            pod_template=pod_template,
        ),
        "env": request.environment(env),
        "retries": request.whole_number("retries", retries, 0, 100),
        "timeout_s": request.seconds(timeout),
    }
    labels = request.labels("tags", tags)
    label = None if name is None else request.label("name", name)
    captured = capture(trainer, request.parameters(params))
    wanted["pod"] = _with_image(wanted["pod"], wanted["backend"], trainer, here.settings.image)
    launcher = here.launcher(wanted["backend"])
    key = f"training-{uuid.uuid4().hex[:12]}"
    sketch = _sketch(key, dataset, captured, wanted)
    launcher.check(sketch)
    check_environment(captured.versions)
    checked = inspect(dataset, target=target, needs_features=captured.kind in ("baseline", "estimator"))
    predicted, why = _target(checked, captured, trainer, target)
    draft = _Draft(target=predicted, name=label or captured.label, **wanted)
    address = here.ready().temporal_address
    if dry_run:
        _try_services(here)
        place = background.run(launcher.rehearse(sketch))
        return DryRun(
            (
                f"dataset: {checked.label}",
                f"trainer: {captured.label} ({captured.kind})",
                f"target: {predicted!r}" + (f" ({why})" if why else ""),
                f"backend: {draft.backend}, {place}",
                f"services: Temporal at {address}, database and storage answer",
            )
        )
    ref = checked.store(here.storage)
    spec = draft.spec(key=key, dataset=ref, trainer=captured.store(here.storage))
    fingerprint = _fingerprint(draft, ref.fingerprint, captured.fingerprint)
    row, new = _submit(
        here, launcher, spec, fingerprint=fingerprint, tags=labels, by=here.user, note=why, force=force
    )
    job = TrainingJob(here, row)
    present_launch(job, _without_worker(here, spec.backend) if new else _attached(row))
    return job


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A request that was checked and is not stored yet: what makes two requests the same."""

    target: str | None
    test_size: float
    seed: int
    name: str
    backend: str
    resources: Resources
    pod: PodOptions
    env: dict[str, str]
    retries: int
    timeout_s: float

    def spec(self, **stored: Any) -> JobSpec:
        return JobSpec(**vars(self), **stored)


def _with_image(pod: PodOptions, backend: str, trainer: object, default: str | None) -> PodOptions:
    """Return the options with the image that runs: a container's own, the one asked for, or the usual one."""
    from mltemporal.code import Container

    if isinstance(trainer, Container):
        if pod.image:
            raise InvalidRequest("image= beside a Container, which names its own", "leave image out")
        return replace(pod, image=request.label("Container's image", trainer.image))
    if backend == "kubernetes" and not pod.image:
        return replace(pod, image=default or "")
    return pod


def _sketch(key: str, dataset: object, captured: CapturedCode, wanted: dict[str, Any]) -> JobSpec:
    """Return the job as far as it is known before anything is read or stored: what a launcher checks."""
    uri = os.fspath(dataset) if isinstance(dataset, str | os.PathLike) else None
    return JobSpec(
        key=key,
        name=captured.label,
        dataset=DatasetRef(fingerprint="", rows=-1, columns=(), uri=uri),
        trainer=TrainerRef(
            kind=captured.kind, label=captured.label, command=captured.command, args=captured.args
        ),
        **wanted,
    )


def _without_worker(here: session.Session, backend: str) -> str:
    """Say so where no worker would take the job now; where it is local, one is just being started."""
    queue = here.task_queue(backend)
    if backend == "local" or any(worker.task_queue == queue for worker in here.database.workers.alive()):
        return ""
    return (
        f"No worker serves the task queue {queue!r} now; the job starts when one does: "
        "`mltemporal worker`, or the Deployment in deploy/."
    )


def _fingerprint(draft: _Draft, dataset: str, code: str) -> str:
    return hashlib.sha256(encode([vars(draft), dataset, code]).encode()).hexdigest()


def _target(
    checked: CheckedDataset, captured: CapturedCode, trainer: object, target: str | None
) -> tuple[str | None, str]:
    """Return the column to predict, and why where it was found rather than given."""
    from mltemporal.dataset import check_target
    from mltemporal.targets import find_target

    if target is not None:
        check_target(checked, target)
        return target, ""
    if captured.kind == "baseline" or (captured.kind == "estimator" and _supervised(trainer)):
        choice = find_target(checked.sample(), names_hint=checked.target)
        check_target(checked, choice.target)
        return choice.target, choice.why
    return checked.target, ""


def _supervised(estimator: object) -> bool:
    """Whether the estimator learns from a target, as far as it says so itself."""
    from sklearn.base import is_classifier, is_regressor

    try:
        return bool(is_classifier(estimator) or is_regressor(estimator))
    except AttributeError:  # not derived from scikit-learn's own base: it has no tags
        return getattr(estimator, "_estimator_type", None) in ("classifier", "regressor")


def _try_services(here: session.Session) -> None:
    here.storage.check()
    here.database.revision()
    background.run(here.client())


def _submit(here: session.Session, launcher: Launcher, spec: JobSpec, **record: Any) -> tuple[JobRow, bool]:
    """Record the job, unless its like is live, and start its workflow; returns the job and whether it is new.

    What a job needs is there before its row, and gone where there is no row: whoever finds a row
    can start its workflow. A live job is started too: it may have been cut off before that.
    """
    row, new = None, False
    try:
        launcher.prepare(spec.key)
        here.storage.put_note(spec.key, "spec", spec)
        dataset_id = here.database.datasets.add(spec.dataset)
        row, new = here.database.jobs.add(spec, dataset_id=dataset_id, **record)
        background.run(owner.start(here, row, again=not new))
    except Exception:
        if row is not None and new:
            here.database.jobs.withdraw(row.id)
        _forget(here, launcher, spec.key)
        raise
    if not new:
        _forget(here, launcher, spec.key)
    return row, new


def _forget(here: session.Session, launcher: Launcher, key: str) -> None:
    background.run(launcher.forget(key))
    here.storage.discard_notes(key)


def _attached(row: JobRow) -> str:
    return (
        f"This is job {row.id}, which is {row.status} since the same cell started it; "
        "train(…, force=True) starts another."
    )


def job(id_or_name: int | str) -> TrainingJob:
    """Return the handle of a job, from any kernel: by its id, or the newest of that name.

    Raises:
        NotFound: there is none.
    """
    return TrainingJob.find(session.current(), id_or_name)


def jobs(
    *,
    status: str | Sequence[str] | None = None,
    name: str | None = None,
    tag: str | None = None,
    limit: int = 100,
) -> JobList:
    """Return handles of the jobs that fit every given condition, newest first."""
    return JobList(session.current(), _rows(status, name, tag, limit))


def history(
    *,
    status: str | Sequence[str] | None = None,
    name: str | None = None,
    tag: str | None = None,
    limit: int = 1000,
) -> RunHistory:
    """Return every run that fits every given condition, newest first, as a table and as pictures."""
    from mltemporal.runs import RunHistory

    return RunHistory(session.current(), _rows(status, name, tag, limit))


def datasets() -> pd.DataFrame:
    """Return the tables that jobs were given, newest first."""
    from mltemporal.runs import datasets_frame

    return datasets_frame(session.current())


def models() -> pd.DataFrame:
    """Return the models that jobs have made, newest first; ``job(id).model`` loads one."""
    from mltemporal.runs import models_frame

    return models_frame(session.current())


class JobList(list[TrainingJob]):
    """Handles, shown as a table."""

    def __init__(self, here: session.Session, rows: list[JobRow]) -> None:
        super().__init__(TrainingJob(here, row) for row in rows)
        self._session = here

    def _repr_html_(self) -> str:
        from mltemporal.runs import jobs_frame

        rows = [self._session.database.jobs.get(handle.id) for handle in self]
        html: str = jobs_frame(rows).to_html(index=False, escape=True)
        return html


def _rows(status: str | Sequence[str] | None, name: str | None, tag: str | None, limit: int) -> list[JobRow]:
    wanted = [status] if isinstance(status, str) else list(status or ())
    for value in wanted:
        if value not in set(JobStatus):
            raise InvalidRequest(f"status={value!r} is none", f"use {', '.join(JobStatus)}")
    request.whole_number("limit", limit, 1, 1_000_000)
    return session.current().database.jobs.find(status=wanted, name=name, tag=tag, limit=limit)
