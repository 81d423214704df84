"""Workload and faults follow from the seed alone."""

from __future__ import annotations

from itertools import islice

from faults.faults import FAULTS
from faults.schedule import scheduled
from faults.workload import KINDS, planned


def test_a_seed_gives_one_plan_and_one_schedule() -> None:
    assert planned(7, 500) == planned(7, 500)
    assert list(islice(scheduled(7), 1000)) == list(islice(scheduled(7), 1000))
    assert planned(7, 50) != planned(8, 50)
    assert list(islice(scheduled(7), 50)) != list(islice(scheduled(8), 50))


def test_every_kind_of_job_and_of_fault_comes() -> None:
    assert set(KINDS) == {work.kind for work in planned(7, len(KINDS))}
    assert set(FAULTS) == {due.kind for due in islice(scheduled(7), len(FAULTS))}
    assert 500 == len({work.name for work in planned(7, 500)})
