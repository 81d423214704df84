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
    "set": 4,
    "extended": 3,
    "stopped": 4,
    "checkpointed": 4,
    "rewound": 4,
    "reprocessed": 3,
}
"""How often each kind comes, beside the others."""

TO_THE_END = ("function", "script", "paused", "retried", "extended", "checkpointed", "rewound")
"""Those that count to a number that is known, and return what they come to."""
COUNTING = (*TO_THE_END, "fails", "cancelled", "set", "stopped")
"""Those that report every step."""
REWOUND = ("rewound", "reprocessed")
"""Those that are started again after they have succeeded."""
WITH_ROWS = ("preprocessing", "reprocessed", "inference")
"""Those that make something of each row of a table."""
TIME_S = 20
"""An extended job's time, unless it is given more."""
LASTS_S = 26.0
"""How long it takes."""
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
    def reported(self) -> range | None:
        """The steps that must be reported; None where that is not known beforehand."""
        if self.kind == "fails":
            return range(1, self.fails_at + 1)
        if self.kind not in TO_THE_END:
            return None
        return range(self.steps) if self.kind == "checkpointed" else range(1, self.steps + 1)

    @property
    def value(self) -> int | None:
        """What it must return, where that is known beforehand."""
        return counted(self.seed, self.steps) if self.kind in TO_THE_END else None

    @property
    def turn(self) -> int:
        """What is set while it runs."""
        return self.seed % 1000 + 1

    @property
    def back_to(self) -> str | int:
        """Where it is rewound to."""
        if self.seed % 2:
            return "validated"
        return "fitted" if self.kind == "reprocessed" else self.steps - 2

    @property
    def command(self) -> str:
        """What is commanded, as the job's history must tell it; empty where that is nothing."""
        back_to = f"step {self.back_to}" if isinstance(self.back_to, int) else repr(self.back_to)
        told = {
            "cancelled": "cancel",
            "retried": "retry",
            "set": f"set turn={self.turn}",
            "extended": "extend to 10 min 0 s",
            "stopped": "stop_early",
            "checkpointed": "checkpoint_now",
        }
        return f"rewind to {back_to}" if self.kind in REWOUND else told.get(self.kind, "")


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
    steps = 100_000 if kind in ("cancelled", "stopped") else rng.randint(15, 45)
    if kind == "checkpointed":
        steps *= 4  # so that it is not over when a command reaches it
    pause_s = rng.uniform(0.03, 0.09)
    return Work(
        index=index,
        kind=kind,
        seed=rng.randrange(VARIANTS) if kind in ("baseline", "estimator") else rng.randrange(1_000_000),
        steps=steps,
        pause_s=round(LASTS_S / steps if kind == "extended" else pause_s, 3),
    )
