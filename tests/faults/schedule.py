"""Which fault comes when: all of it from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .faults import FAULTS
from .harm import Fault


@dataclass(frozen=True, kw_only=True)
class Due:
    """A fault that is to come."""

    kind: str
    after_s: float
    """How long after the one before."""
    seed: str
    """Of what the fault draws: its victim, and how long it lasts."""


def scheduled(seed: int, faults: Mapping[str, tuple[Fault, int]] = FAULTS) -> Iterator[Due]:
    """Yield the faults of the run ``seed``, without an end; the first ones are of every kind."""
    rng = random.Random(f"schedule {seed}")
    kinds, weights = list(faults), [weight for _, weight in faults.values()]
    first = rng.sample(kinds, len(kinds))
    number = 0
    while True:
        kind = first.pop() if first else rng.choices(kinds, weights=weights)[0]
        yield Due(kind=kind, after_s=round(rng.uniform(0.05, 1.5), 3), seed=f"{seed}/{number}")
        number += 1
