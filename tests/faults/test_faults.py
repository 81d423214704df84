"""Nothing is lost and nothing runs twice, whatever is killed, stopped, filled, cut, held or set meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from faults.report import table, violations
from faults.run import Run
from faults.workload import KINDS
from faults.worlds import WORLDS
from services import postgres, s3


def assert_nothing_is_broken(run: Run, faults: int, record_property: Callable[[str, object], None]) -> None:
    outcome = run.carry_out()
    print(table(outcome))
    record_property("table", table(outcome))
    assert "" == violations(outcome, run.again)
    assert faults <= sum(outcome.faults.values())
    if outcome.left_out:
        pytest.skip(outcome.left_out[0])


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> str:
    """Where jobs run."""
    if request.param == "team":
        s3.require()
        postgres.require()
    return str(request.param)


SMALL = {"laptop": (5, len(KINDS), 18), "team": (5, 6, 9)}
"""Seed, jobs and faults of a run that is done in a minute."""


@pytest.mark.timeout(900)
def test_jobs_of_all_kinds_under_faults_of_all_kinds(
    world: str, record_property: Callable[[str, object], None]
) -> None:
    seed, jobs, faults = SMALL[world]
    run = Run(seed, jobs=jobs, faults=faults, say=print, world=world)
    assert_nothing_is_broken(run, faults, record_property)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_many_jobs_under_many_faults(world: str, record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("MLTEMPORAL_SEED", "7"))
    jobs, faults = (500, 1000) if world == "laptop" else (150, 300)
    run = Run(seed, jobs=jobs, faults=faults, say=print, world=world)
    assert_nothing_is_broken(run, faults, record_property)
