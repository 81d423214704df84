"""`train`: check the request, store it, start the workflow, return a handle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mltemporal import launching, request, session, tables
from mltemporal.errors import InvalidRequest
from mltemporal.handles import TrainingJob
from mltemporal.keywords import explained
from mltemporal.launching import DryRun
from mltemporal.specs.data import Expectation
from mltemporal.specs.request import JobSpec, TrainerRef

if TYPE_CHECKING:
    from mltemporal.code.capturing import CapturedCode
    from mltemporal.dataset.checking import CheckedDataset
    from mltemporal.specs.request import PodOptions, Resources


@explained
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
    expectations: Mapping[str, Mapping[str, Any]] | Sequence[Expectation] | None = None,
    stall: str | None = "flag",
    stall_after: str | float | timedelta | None = None,
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
        dataset: a pandas, polars or pyarrow table, a scikit-learn Bunch, the path or URI of a
            parquet or CSV file, directory or glob, a registered `Dataset`, or the name of one. Tables
            are stored once, files stay where they are.
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
        expectations: what the columns must be like, beside what is kept with the dataset; see `preprocess`.
        stall: what happens when the training still beats and its step has not advanced for a time in which
            it should have: ``"flag"`` says so on the panel, ``"restart"`` also starts another attempt from
            the last checkpoint, None does nothing.
        stall_after: how long a step may take; by default ten times what it usually takes, a minute at least.
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
    from mltemporal.code.capturing import capture
    from mltemporal.code.versions import check_environment
    from mltemporal.profiling.expectations import parse_expectations

    here = session.current()
    # First what is checked in no time, last what reads the data.
    wanted: dict[str, Any] = {
        "test_size": request.share("test_size", test_size),
        "seed": request.whole_number("seed", seed, 0, 2**32 - 1),
        "stall": request.one_of("stall", stall, (None, "flag", "restart")),
        "stall_after_s": None if stall_after is None else request.seconds(stall_after, "stall_after"),
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
    key = launching.new_key("training")
    registered = tables.known(here, dataset)
    sketch = JobSpec(
        key=key,
        name=captured.label,
        dataset=launching.sketched(dataset, registered),
        trainer=TrainerRef(
            kind=captured.kind, label=captured.label, command=captured.command, args=captured.args
        ),
        **wanted,
    )
    launcher.check(sketch)
    check_environment(captured.versions)
    checked = tables.checked(
        here,
        dataset,
        registered,
        target=target,
        needs_features=captured.kind in ("baseline", "estimator"),
    )
    predicted, why = _target(checked, captured, trainer, target)
    wanted["expectations"] = parse_expectations(expectations, checked.columns)
    draft = _Draft(target=predicted, name=label or captured.label, **wanted)
    if dry_run:
        return launching.rehearsed(
            here,
            launcher,
            sketch,
            dataset=checked.label,
            trainer=f"{captured.label} ({captured.kind})",
            target=f"{predicted!r}" + (f" ({why})" if why else ""),
        )
    here.ready()
    ref = checked.store(here.storage)
    spec = draft.spec(key=key, dataset=ref, trainer=captured.store(here.storage))
    fingerprint = launching.fingerprint(vars(draft), ref.fingerprint, captured.fingerprint)
    job = launching.launch(
        here, launcher, spec, fingerprint=fingerprint, tags=labels, note=why, force=force, verb="train"
    )
    assert isinstance(job, TrainingJob)
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
    stall: str | None
    stall_after_s: float | None
    expectations: tuple[Expectation, ...]

    def spec(self, **stored: Any) -> JobSpec:
        return JobSpec(**vars(self), **stored)


def _with_image(pod: PodOptions, backend: str, trainer: object, default: str | None) -> PodOptions:
    """Return the options with the image that runs: a container's own, the one asked for, or the usual one."""
    from mltemporal.code.container import Container

    if isinstance(trainer, Container):
        if pod.image:
            raise InvalidRequest("image= beside a Container, which names its own", "leave image out")
        return replace(pod, image=request.label("Container's image", trainer.image))
    if backend == "kubernetes" and not pod.image:
        return replace(pod, image=default or "")
    return pod


def _target(
    checked: CheckedDataset, captured: CapturedCode, trainer: object, target: str | None
) -> tuple[str | None, str]:
    """Return the column to predict, and why where it was found rather than given."""
    from mltemporal.dataset.checking import check_target
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
