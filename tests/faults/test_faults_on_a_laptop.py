"""Nothing is lost and nothing runs twice, whatever is killed, stopped, filled, cut, held or set meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from faults.proving import prove
from faults.workload import KINDS


@pytest.mark.timeout(900)
def test_a_job_of_each_kind_under_faults(record_property: Callable[[str, object], None]) -> None:
    prove("laptop", 5, jobs=len(KINDS), faults=12, record_property=record_property)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_many_jobs_under_many_faults(record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("MLTEMPORAL_SEED", "7"))
    prove("laptop", seed, jobs=500, faults=1000, record_property=record_property)
