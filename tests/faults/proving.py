"""A run as a test: its table is told, and any violation fails it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .report import table, violations
from .run import Run


def prove(
    world: str, seed: int, *, jobs: int, faults: int, record_property: Callable[[str, object], None]
) -> None:
    """Carry out a run, with so many jobs and faults."""
    run = Run(seed, jobs=jobs, faults=faults, say=print, world=world)
    outcome = run.carry_out()
    print(table(outcome))
    record_property("table", table(outcome))
    assert "" == violations(outcome, run.again)
    assert faults <= sum(outcome.faults.values())
    if outcome.left_out:
        pytest.skip(outcome.left_out[0])
