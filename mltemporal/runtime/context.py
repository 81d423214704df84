"""The job that this process belongs to, if any: set by the runtime, inherited by child processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from mltemporal.errors import NotFound
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.orders import REWINDS, Rewind
from mltemporal.specs.request import JobSpec
from mltemporal.storage.content import Storage

JOB_VARIABLE = "MLTEMPORAL_JOB"
"""Environment variable that tells child processes of a job which job it is."""
STORAGE_PATIENCE_S = 600.0
"""How long a job waits for a storage that is away: what it has computed is worth more."""


@dataclass(frozen=True)
class Job:
    """The job and the attempt that run here."""

    storage: Storage
    key: str
    attempt: int

    @cached_property
    def spec(self) -> JobSpec:
        """What was asked for.

        Raises:
            NotFound: storage has no job of this key.
        """
        spec = self.storage.get_note(self.key, "spec", JobSpec)
        if spec is None:
            raise NotFound(
                f"storage {self.storage.url!r} holds no job {self.key!r}",
                "check that the launching session and the worker use the same storage",
            )
        return spec

    @cached_property
    def rewinds(self) -> list[Rewind]:
        """Where the job was started again from, each time, by a person."""
        if self.attempt == 1:
            return []
        return self.storage.get_note(self.key, REWINDS, list[Rewind]) or []

    def generation(self, *stages: str) -> str:
        """Return what tells notes from those that a rewind to one of these stages has undone."""
        count = sum(rewind.to in stages and rewind.after < self.attempt for rewind in self.rewinds)
        return f".{count}" if count else ""

    @property
    def rank(self) -> int:
        """Which of the job's processes this is; the first one returns the result."""
        return int(os.environ.get("RANK", "0")) if self.spec.pod.nodes > 1 else 0


@dataclass(frozen=True, kw_only=True)
class _Inherited:
    storage: str
    key: str
    attempt: int


_job: Job | None = None


def enter(job: Job) -> None:
    """Make ``job`` the job of this process and of the processes that it will start."""
    global _job  # noqa: PLW0603 - a process belongs to one job
    _job = job
    os.environ[JOB_VARIABLE] = encode(_Inherited(storage=job.storage.url, key=job.key, attempt=job.attempt))


def current() -> Job | None:
    """Return the job of this process or of the process that started it; None outside a job."""
    if _job is None and (text := os.environ.get(JOB_VARIABLE)):
        inherited = decode(text, _Inherited)
        enter(
            Job(Storage(inherited.storage, patience_s=STORAGE_PATIENCE_S), inherited.key, inherited.attempt)
        )
    return _job
