"""What a job's process leaves, and how a job ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from mltemporal.specs.data import Artifact, DatasetRef, ModelRef, ObjectRef
from mltemporal.specs.running import JobStatus


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
    profile: ObjectRef
    """Of what came in."""
    pipeline: ObjectRef | None = None
    """The fitted steps, for scoring rows as they were trained on; None: there were none."""


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
    artifacts: tuple[Artifact, ...] = ()
    """What it told as artifacts: its output says so too, which may be lost with its pod."""


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
