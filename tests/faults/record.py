"""What was found of a fault run when everything had come to rest: what the invariants are checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .workload import Work


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A command or an end, as the job's history tells it."""

    kind: str
    """``command`` or ``finished``."""
    message: str
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A command that a kernel gave, and what it was told."""

    job_id: int
    told: str
    """The command as the history must tell it."""
    came: str = ""
    """``answered`` or ``refused``; empty where the kernel died, or services were away meanwhile."""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """One row of a job, and what was found out about it."""

    id: int
    status: str
    workflow: str
    """How Temporal says that its workflow closed."""
    submitted: int
    """The place of its first event among all events."""
    finished: int
    """The place of its end; 0 where it has none."""
    error: str = ""
    attempts: int = 1
    points: tuple[tuple[int, int | None], ...] = ()
    """(attempt, step) of each metric point."""
    recalled: int = 0
    """How many points came from beside its checkpoints, not from the output of its process."""
    curve: tuple[int, ...] = ()
    """The steps of what its code reported, as ``job.metrics()`` has them in its order."""
    turns: tuple[int, ...] = ()
    """What was set, as its code saw it at each of these steps."""
    last: int = 0
    """The last step that was reported, by its code or by `track`."""
    story: tuple[Happened, ...] = ()
    """Its commands and ends, in their order."""
    results: int = 0
    """How many attempts have left a result."""
    value: object = None
    """What it returned, or its metrics."""
    rows: tuple[int, ...] | None = None
    """The ids of the rows of its output."""
    rows_right: bool = True
    """Whether what was computed for each row is right."""
    model: str = ""
    """``whole``, or what is wrong with the model; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the handle in a kernel said when the job had ended."""

    job_id: int
    status: str
    said: str


@dataclass(kw_only=True)
class Record:
    """A whole run, as it was found when everything had come to rest."""

    plan: list[Work]
    launched: dict[str, list[Launched]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    asked: dict[str, list[Asked]] = field(default_factory=dict)
    """The commands that kernels gave, by the name of the work."""
    undisturbed: dict[tuple[str, int], object] = field(default_factory=dict)
    """The metrics of baselines and estimators that nobody disturbed, by kind and seed."""
    rows: int = 0
    """How many rows the table of preprocessings and inferences has."""
    overlaps: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    kubernetes: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    open_workflows: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def jobs(self) -> Iterator[tuple[Work, Launched]]:
        """Each work with each of its jobs."""
        for work in self.plan:
            for job in self.launched.get(work.name, []):
                yield work, job

    def well(self) -> Iterator[tuple[Work, Launched]]:
        """Those that succeeded."""
        return ((work, job) for work, job in self.jobs() if job.status == "succeeded")
