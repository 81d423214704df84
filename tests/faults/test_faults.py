"""Nothing is lost and nothing runs twice, whatever is killed, stopped, filled, held or set meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from faults.report import table, violations
from faults.run import Run
from faults.workload import KINDS


def assert_nothing_is_broken(
    seed: int, jobs: int, faults: int, record_property: Callable[[str, object], None]
) -> None:
    outcome = Run(seed, jobs=jobs, faults=faults, say=print).carry_out()
    print(table(outcome))
    record_property("table", table(outcome))
    again = f"python tests/faults --seed {seed} --jobs {jobs} --faults {faults}"
    assert "" == violations(outcome, again)
    assert faults <= sum(outcome.faults.values())
    if outcome.left_out:
        pytest.skip(outcome.left_out[0])


@pytest.mark.timeout(900)
def test_jobs_of_all_kinds_under_faults_of_all_kinds(
    record_property: Callable[[str, object], None],
) -> None:
    assert_nothing_is_broken(5, len(KINDS), 18, record_property)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_many_jobs_under_many_faults(record_property: Callable[[str, object], None]) -> None:
    assert_nothing_is_broken(int(os.environ.get("MLTEMPORAL_SEED", "7")), 500, 1000, record_property)
