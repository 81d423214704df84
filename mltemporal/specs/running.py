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
    fresh: bool = False
    """Whether a person asked for it (a launch, a retry, a rewind): what was said to earlier ones is over."""


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What the workflow needs to know of a job; the rest stays in the database."""

    job_id: int
    retries: int
    timeout_s: float
    attempts_before: int = 0
    """Attempts of an earlier run of this job: `retry` goes on counting."""


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a long-lived workflow hands on to the run that continues it."""

    plan: JobPlan | None = None
    """None: nothing was done yet, and the dataset is checked first."""
    attempt: int = 0
    """The next attempt's number."""
    began: float = 0.0
    """When the job's time began, seconds since the epoch by Temporal's clock; so is the next."""
    deadline: float = 0.0
    commands: tuple[str, ...] = ()
    """Ids of the commands that were given last: each is carried out once."""
    most_attempts: int = 50
    """In one run; another run goes on with the others."""
    most_commands: int = 1_500
    """In one run, of which Temporal takes no more than 2,000."""


@dataclass(frozen=True, kw_only=True)
class WorkflowState:
    """The answer to the workflow's ``status`` query."""

    stage: str
    attempt: int = 0


COMMANDS = ("pause", "resume", "checkpoint_now", "stop_early", "extend", "set")
"""What can be said to a running job; ``cancel`` is Temporal's own word, so that it needs no worker."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a person asks of a running job."""

    job_id: int
    verb: str
    """One of `COMMANDS`."""
    by: str
    """Who asked: ``user@host``."""
    id: str = ""
    """32 hexadecimal digits; a command that is given again is refused."""
    origin: str = ""
    """From where: ``notebook, process 4711``."""
    given_at: float = 0.0
    """Seconds since the epoch, by the clock of whoever gave it."""
    timeout_s: float | None = None
    """Of ``extend``: the job's new whole time, in seconds."""
    params_json: str = ""
    """Of ``set``: the values by name."""

    @property
    def giver(self) -> str:
        """Who gave it, and from where."""
        return ", ".join(part for part in (self.by, self.origin) if part)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a job, or the latest state of it."""

    time: float
    """Seconds since the epoch, by the job's clock."""
    step: int | None = None
    total: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
