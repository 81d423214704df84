"""What a round of the monitor found, and what people are told."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class HealthState(enum.StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    """It works; somebody should look at it."""
    PROBLEM = "problem"
    """Jobs suffer, or soon will."""


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """What was found about one part; holds no secret."""

    part: str
    state: HealthState
    latency_ms: float
    """How long the look took."""
    detail: str
    """A sentence for a person."""
    next_step: str = ""
    """What to do about it; empty where nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that people asked to be told, small enough for a workflow's history.

    A job's end names the job: what is said of it is read from the database when it is told.
    """

    job_id: int | None = None
    text: str = ""
    """What is told where it is about no job."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round's checks found, as the workflow needs it."""

    checks: int
    problems: tuple[str, ...] = ()
    """Parts that are a problem now."""
    notice: Notice | None = None
    """What to tell people: a check turned red, or back, and somebody wants to know."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """What a round mended, as the workflow needs it; the sentences are in the database."""

    deeds: int
    failures: int = 0
    notices: tuple[Notice, ...] = ()
    """Of jobs whose end was recorded, where somebody wants to know."""
