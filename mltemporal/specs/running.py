"""Where a job stands, and what is said to it while it runs."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


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
