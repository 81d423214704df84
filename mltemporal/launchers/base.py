"""The port: a place where a job's process runs.

What must hold for each implementation is written down as tests: ``tests/contracts/launcher.py``.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from mltemporal.specs.request import JobSpec


class Phase(enum.StrEnum):
    """Where a launched process stands."""

    QUEUED = "queued"
    """Accepted; waits for its turn."""
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It ended by itself and reports failure (exit code not 0)."""
    INTERRUPTED = "interrupted"
    """It was ended from outside: a signal, an eviction, a lost machine."""

    @property
    def final(self) -> bool:
        """Whether the process has ended."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.INTERRUPTED)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What was seen of a process: its phase, and the output since the last sighting."""

    phase: Phase
    output: bytes = b""
    position: int = 0
    """Bytes of output seen so far, this sighting's included."""
    cursor: str = ""
    """Where the launcher itself would go on reading, in words of its own; may be empty."""
    exit_code: int | None = None
    """Negative for a signal, as in `subprocess`."""
    reason: str = ""
    """Why it waits or ended, in a sentence for a person."""


class Launcher(Protocol):
    """Starts, finds, follows, suspends, stops and deletes processes by name.

    A name is ``<job key>-<attempt>``. Every method may raise `ServiceUnavailable`; those that
    take a name do nothing where there is no such process, unless they say otherwise.
    """

    def check(self, spec: JobSpec) -> None:
        """Refuse, in words, what this launcher cannot honour; called before the job is stored.

        Raises:
            InvalidRequest: names what cannot be honoured and what can.
        """

    def prepare(self, key: str) -> None:
        """Keep what the attempts of job ``key`` take over from this process, the kernel."""

    async def rehearse(self, spec: JobSpec) -> str:
        """Have the place itself check the job without starting it; return where it would run.

        Raises:
            InvalidRequest: it would be refused; says why.
        """

    async def start(self, spec: JobSpec, attempt: int) -> None:
        """Start the process, or queue it. Idempotent: starting twice under one name starts once."""

    async def find(self, name: str) -> Sighting | None:
        """Return the process's phase, without output; None where there is no such process."""

    def follow(self, name: str, position: int, cursor: str = "", rank: int = 0) -> AsyncIterator[Sighting]:
        """Yield a sighting on every change, at least each second, output from ``position`` on.

        The last one has a final phase and all that is left of the output. ``cursor`` is that of the
        sighting which ended at ``position``: with it, nothing before needs to be read again. Of a
        job of several nodes, the output is that of the one process with this ``rank``.

        Raises:
            NotFound: there is no such process.
        """

    async def suspend(self, name: str) -> None:
        """Halt the process; its state stays in memory or in its checkpoint."""

    async def resume(self, name: str) -> None:
        """Let a suspended process go on."""

    async def allow(self, name: str, time_s: float) -> None:
        """Let the process take ``time_s``, grace included, where the place itself ends what takes long."""

    async def stop(self, name: str, grace_s: float) -> None:
        """Ask the process to end (SIGTERM), end it by force after ``grace_s``, return when it has ended."""

    async def delete(self, name: str) -> None:
        """Remove a process that has ended, and all that belongs to it."""

    async def forget(self, key: str) -> None:
        """Remove what was kept for all attempts of the job ``key``."""

    async def kept(self) -> dict[str, float]:
        """Return the jobs that `prepare` kept something for here, each with the time (epoch) of it."""

    async def names(self) -> list[str]:
        """Return the names of this owner's processes, ended ones included, that were not deleted."""

    async def close(self) -> None:
        """Give back what is held open; processes go on."""
