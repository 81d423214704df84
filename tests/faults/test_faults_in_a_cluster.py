"""The same in a team's world: pods, PostgreSQL, S3; each of them killed, cut off, slowed and filled."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from faults.proving import prove
from services import postgres, s3


@pytest.fixture(autouse=True)
def _services() -> None:
    s3.require()
    postgres.require()


@pytest.mark.timeout(900)
def test_some_jobs_under_faults(record_property: Callable[[str, object], None]) -> None:
    prove("team", 5, jobs=6, faults=9, record_property=record_property)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_many_jobs_under_many_faults(record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("MLTEMPORAL_SEED", "7"))
    prove("team", seed, jobs=150, faults=300, record_property=record_property)
