"""Which jobs a fault run has, and what each must come to: all of it from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .tasks import counted

KINDS = {
    "function": 16,
    "script": 12,
    "baseline": 10,
    "estimator": 12,
    "preprocessing": 11,
    "inference": 11,
    "fails": 8,
    "cancelled": 7,
    "paused": 7,
    "retried": 6,
}
"""How often each kind comes, in a hundred jobs."""

COUNTING = ("function", "script", "paused", "retried", "fails", "cancelled")
"""Those that report every step."""
VARIANTS = 3
"""Baselines and estimators of so many seeds: each has an undisturbed run to be compared with."""
RETRIES = 60
"""So many that the faults of a run never use them up."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One job of the workload."""

    index: int
    kind: str
    seed: int
    steps: int
    pause_s: float

    @property
    def name(self) -> str:
        """The job's name, which a new kernel finds it by."""
        return f"{self.kind}-{self.index:04d}"

    @property
    def ends(self) -> str:
        """How it must end."""
        return {"fails": "failed", "cancelled": "cancelled"}.get(self.kind, "succeeded")

    @property
    def fails_at(self) -> int:
        """The step at which it raises; 0 where it does not."""
        return self.steps // 2 if self.kind in ("fails", "retried") else 0

    @property
    def reported(self) -> int:
        """The last step that must be reported; 0 where that is not known."""
        if self.kind == "cancelled" or self.kind not in COUNTING:
            return 0
        return self.fails_at if self.kind == "fails" else self.steps

    @property
    def value(self) -> int | None:
        """What it must return, where that can be computed."""
        counts = self.kind in ("function", "script", "paused", "retried")
        return counted(self.seed, self.steps) if counts else None


def planned(seed: int, jobs: int) -> list[Work]:
    """Return the jobs of the run ``seed``; the first ones are of every kind."""
    rng = random.Random(f"workload {seed}")
    kinds = list(KINDS)[:jobs]
    kinds += rng.choices(list(KINDS), weights=list(KINDS.values()), k=jobs - len(kinds))
    rng.shuffle(kinds)
    return [_work(index, kind, rng) for index, kind in enumerate(kinds)]


def undisturbed() -> list[Work]:
    """Return the jobs whose results those of the same kind and seed are compared with."""
    return [
        Work(index=9000 + 10 * position + seed, kind=kind, seed=seed, steps=1, pause_s=0.0)
        for position, kind in enumerate(("baseline", "estimator"))
        for seed in range(VARIANTS)
    ]


def _work(index: int, kind: str, rng: random.Random) -> Work:
    return Work(
        index=index,
        kind=kind,
        seed=rng.randrange(VARIANTS) if kind in ("baseline", "estimator") else rng.randrange(1_000_000),
        steps=100_000 if kind == "cancelled" else rng.randint(15, 45),
        pause_s=round(rng.uniform(0.03, 0.09), 3),
    )
