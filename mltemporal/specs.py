"""The frozen dataclasses that cross a process border.

Workers, notebooks and jobs of different ages meet, so a new field needs a default, and a
reader ignores the fields that it does not know. `encode` and `decode` are the one JSON form.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class JobStatus(enum.StrEnum):
    """Where a job stands; the words that a person reads."""

    QUEUED = "queued"
    VALIDATING = "validating"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """Bytes in storage, named by their content."""

    sha256: str
    size_bytes: int
    format: str = "bytes"
    """What the bytes are: ``parquet``, ``cloudpickle``, ``skops``, ``json``, ``text``, ``bytes``."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """Arrow's name of the type, e.g. ``double`` or ``dictionary<values=string, …>``."""


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """A table: either an object in storage, or files that stay where they are."""

    fingerprint: str
    """SHA-256 of the content (stored tables) or of names, sizes and times (referred files)."""
    rows: int
    """Number of rows; -1 when counting would mean reading everything (CSV)."""
    columns: tuple[Column, ...]
    format: str = "parquet"
    """``parquet`` or ``csv``."""
    object: ObjectRef | None = None
    uri: str | None = None
    """As the user gave it, made absolute: a file, directory or glob, local or ``s3://``."""
    name: str | None = None
    """The name under which it is registered."""
    target: str | None = None
    """Set where the source says so itself (a scikit-learn Bunch)."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)


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
class Shard:
    """A part of a dataset that is worked on, written and recorded as one."""

    index: int
    file: int
    """Which of the dataset's files, in the order of their names."""
    row_groups: tuple[int, ...] = ()
    """Of a parquet file; empty: the whole file."""
    first_row: int = -1
    """Where it begins, counted over the whole dataset; -1 where unknown (CSV)."""
    rows: int = -1
    """How many rows it has; -1 where unknown (CSV)."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a column must be like; None and False ask for nothing."""

    column: str
    type: str | None = None
    """``integer``, ``number``, ``text``, ``boolean``, ``date`` or ``timestamp``."""
    minimum: float | str | None = None
    maximum: float | str | None = None
    """Both inclusive; dates and times as ISO text."""
    null_share: float | None = None
    """At most this share of the rows may be missing, 0 to 1."""
    unique: bool = False
    allowed: tuple[str | float | bool, ...] | None = None


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
    env: dict[str, str] = field(default_factory=dict)
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


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at a job, as activities hand it on."""

    job_id: int
    number: int
    """Counts from 1."""


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What the workflow needs to know of a job; the rest stays in the database."""

    job_id: int
    retries: int
    timeout_s: float
    attempts_before: int = 0
    """Attempts of an earlier run of this job: `retry` goes on counting."""


@dataclass(frozen=True, kw_only=True)
class WorkflowState:
    """The answer to the workflow's ``status`` query."""

    stage: str
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a person asks of a running job."""

    job_id: int
    verb: str
    """``pause`` or ``resume``."""
    by: str
    """Who asked, and from where: ``user@host``."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a job, or the latest state of it."""

    time: float
    """Seconds since the epoch, by the job's clock."""
    step: int | None = None
    total: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a job leaves behind."""

    name: str
    object: ObjectRef


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A fitted model in storage and what it takes to use it again."""

    object: ObjectRef
    """Format ``skops`` where it loads safely, else ``cloudpickle``."""
    label: str
    task: str | None = None
    """``classification`` or ``regression`` where known."""
    target: str | None = None
    features: tuple[str, ...] = ()
    """Column names that ``predict`` takes, in order; empty where unknown."""
    trusted: tuple[str, ...] = ()
    """Types beyond scikit-learn's own that a skops file needs; shown before they are loaded."""


@dataclass(frozen=True, kw_only=True)
class RunOutput:
    """What a job's process leaves in storage when it succeeds: `Storage.put_note`'s text."""

    metrics: dict[str, float] = field(default_factory=dict)
    model: ModelRef | None = None
    value: ObjectRef | None = None
    """The cloudpickled return value of a function, when it is no model."""
    notes: tuple[str, ...] = ()
    """What the runtime chose and why, in sentences for a person."""
    prepared: Prepared | None = None
    scored: Scored | None = None


@dataclass(frozen=True, kw_only=True)
class MadeDataset:
    """A dataset that a preprocessing wrote."""

    part: str
    """``dataset``, or ``train`` and ``test``."""
    ref: DatasetRef
    profile: ObjectRef | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a preprocessing leaves."""

    datasets: tuple[MadeDataset, ...]
    pipeline: ObjectRef
    """The fitted steps, for scoring rows as they were trained on."""
    profile: ObjectRef
    """Of what came in."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a batch inference leaves."""

    uri: str
    rows: int
    parts: int
    drift: ObjectRef | None = None
    """The comparison with the training data, column by column."""
    drifted: tuple[str, ...] = ()
    """The columns that moved, at most a hundred."""


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is kept with a registered dataset: where it came from and what it is like."""

    made_by: int | None = None
    """The job that wrote it."""
    part: str = ""
    sources: tuple[str, ...] = ()
    """Fingerprints of the datasets that it was made from."""
    steps: tuple[str, ...] = ()
    pipeline: ObjectRef | None = None
    profile: ObjectRef | None = None
    expectations: tuple[Expectation, ...] = ()
    code: str = ""
    """The hash of the plan: which code made it."""


@dataclass(frozen=True, kw_only=True)
class RunFailure:
    """Why a job's process failed, written by the process itself."""

    type: str
    """The exception's class name."""
    message: str
    traceback: str
    """The user's own frames, ours cut off."""
    next_step: str = ""
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended well: small, so that it fits a workflow's history."""

    job_id: int
    metrics: dict[str, float] = field(default_factory=dict)
    """The final evaluation, named as scikit-learn names it: ``r2``, ``accuracy`` …"""
    model_ref: ModelRef | None = None
    value_ref: ObjectRef | None = None
    attempts: int = 1
    duration_s: float = 0.0
    """From the first attempt's start to the end, waiting for a retry included."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingResult:
    """How a preprocessing ended well."""

    job_id: int
    metrics: dict[str, float] = field(default_factory=dict)
    """``rows_in``, ``rows_out`` …"""
    dataset_ids: dict[str, int] = field(default_factory=dict)
    """Registered datasets by part: ``dataset``, or ``train`` and ``test``."""
    attempts: int = 1
    duration_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class InferenceResult:
    """How a batch inference ended well."""

    job_id: int
    rows: int = 0
    uri: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    drift_ref: ObjectRef | None = None
    drifted: tuple[str, ...] = ()
    attempts: int = 1
    duration_s: float = 0.0


JobResult = TrainingResult | PreprocessingResult | InferenceResult
RESULTS: dict[str, type[JobResult]] = {
    "training": TrainingResult,
    "preprocessing": PreprocessingResult,
    "inference": InferenceResult,
}
"""The result of each kind of job."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended, as the workflow tells the last activity."""

    job_id: int
    status: JobStatus
    attempts: int
    what: str = ""
    next_step: str = ""
    result: TrainingResult | None = None
    """Of a training; the other kinds have a field of their own, so that each is read back as what it is."""
    prepared: PreprocessingResult | None = None
    scored: InferenceResult | None = None


def encode(value: Any) -> str:
    """Return ``value`` (a dataclass of this module, or JSON-able) as JSON text."""
    return msgspec.json.encode(value).decode()


def decode(text: str | bytes, kind: type[T]) -> T:
    """Return the ``kind`` that `encode` wrote.

    Raises:
        msgspec.DecodeError: the text is no JSON, or does not fit ``kind``.
    """
    return msgspec.json.decode(text, type=kind)
