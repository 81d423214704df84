"""What is asked for: a job, complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mltemporal.specs.data import DatasetRef, Expectation, ModelRef, ObjectRef


@dataclass(frozen=True, kw_only=True)
class TrainerRef:
    """What trains: the built-in baseline, or code that travels by value."""

    kind: str
    """``baseline``, ``estimator``, ``function``, ``script`` or ``container``; of a preprocessing ``steps``,
    of an inference ``model``."""
    label: str
    """What a person calls it: a class, function or file name."""
    code: ObjectRef | None = None
    """The cloudpickled estimator, the cloudpickled ``(function, params)``, the script's text, or the
    baseline's parameters as JSON (None: it has none)."""
    params: dict[str, str] = field(default_factory=dict)
    """Parameters as text (``repr``, shortened), for people and for `history()`."""
    command: tuple[str, ...] = ()
    """What a container runs; empty: what its image runs by itself."""
    args: tuple[str, ...] = ()
    """Command-line arguments of a script or container, the parameters included."""
    path: str | None = None
    """Where the script stood on the launching machine; its folder comes first on ``sys.path``."""
    metric_patterns: dict[str, str] = field(default_factory=dict)
    """Metric name to regular expression with one group, for programs that cannot be changed."""
    versions: dict[str, str] = field(default_factory=dict)
    """Python and packages of the launching kernel that must agree before the code is unpickled."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How much machine a job gets."""

    cpu: float | None = None
    """Cores; None shares the machine evenly among the jobs that may run at once."""
    memory: str | None = None
    """As Kubernetes writes it: ``4Gi``."""
    others: dict[str, str] = field(default_factory=dict)
    """``ephemeral-storage``, ``nvidia.com/gpu`` and the like, by Kubernetes' name and in its writing."""


@dataclass(frozen=True, kw_only=True)
class SecretRef:
    """A Kubernetes Secret, by name; its values never leave the cluster."""

    name: str
    mount_path: str = ""
    """Where its keys appear as files; empty: they become environment variables."""


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """What a job asks of a cluster beside resources; the words are those of a pod's spec."""

    image: str = ""
    nodes: int = 1
    """How many pods train together, each with its rank."""
    packages: tuple[str, ...] = ()
    """Requirements that pip installs in the job, before the code is loaded."""
    secrets: tuple[SecretRef, ...] = ()
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] | None = None
    priority_class: str = ""
    service_account: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Mount path to volume source, e.g. ``{"/data": {"persistentVolumeClaim": {"claimName": "data"}}}``."""
    template: dict[str, Any] | None = None
    """A pod template that is merged over ours."""


@dataclass(frozen=True, kw_only=True)
class PreparationSpec:
    """What a preprocessing does; the engine is `mltemporal.preparation`."""

    plan: ObjectRef
    """The checked plan, as `preparation.Plan` stores itself; its hash is verified before it is loaded."""
    steps: tuple[str, ...] = ()
    """Each step in words, for people and for lineage."""
    expectations: tuple[Expectation, ...] = ()
    output: str = ""
    """Folder or ``s3://`` prefix of the new dataset; empty: in the job's storage."""
    shards: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class InferenceSpec:
    """What a batch inference scores, with which model."""

    model: ModelRef
    model_job: int | None = None
    """The training job that made the model."""
    pipeline: ObjectRef | None = None
    """The fitted preprocessing that is applied first, as `preparation.Fitted` stores itself."""
    reference: DatasetRef | None = None
    """The table that the model was trained on, for drift."""
    output: str = ""
    """Folder or ``s3://`` prefix of the predictions; empty: in the job's storage."""
    keep: tuple[str, ...] = ()
    """Columns that are passed through, in order."""
    probabilities: bool = False
    """Whether there is a column ``probability_<class>`` for each class, too."""
    shards: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One job, complete: a worker or a process needs nothing else to run it."""

    key: str
    """DNS label; names the workflow, the launcher's jobs (``<key>-<attempt>``) and storage."""
    name: str
    dataset: DatasetRef
    trainer: TrainerRef
    target: str | None = None
    """The column to predict; None lets the baseline find it, or means there is none."""
    test_size: float = 0.2
    """Share of the rows held out for the evaluation, 0 to below 1."""
    seed: int = 0
    kind: str = "training"
    """``training``, ``preprocessing`` or ``inference``."""
    preparation: PreparationSpec | None = None
    inference: InferenceSpec | None = None
    backend: str = "local"
    resources: Resources = field(default_factory=Resources)
    pod: PodOptions = field(default_factory=PodOptions)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    """Extra environment variables of the job."""
    retries: int = 2
    """How often a training that was interrupted starts again; a user's exception never does."""
    timeout_s: float = 86_400.0
    """From the end of the validation to the kill; retries and waiting for a free slot are included."""
    grace_s: float = 30.0
    """Between SIGTERM and SIGKILL when the job is cancelled or times out."""
    checkpoints_kept: int = 3
    stall: str | None = "flag"
    """What happens when a training beats and its step stands still: ``flag``, ``restart`` or nothing."""
    stall_after_s: float | None = None
    """How long it must stand still; None: ten times what a step usually takes, and a minute at least."""
    expectations: tuple[Expectation, ...] = ()
    """What a training demands of its dataset, beside what is kept with it."""
