"""What a launch leaves when it goes wrong half-way: nothing, or a job that can be taken up again."""

from typing import Any

import pandas as pd
import pytest

import mltemporal
from mltemporal import owner, restarting, watching
from mltemporal.errors import ServiceUnavailable
from mltemporal.specs.running import JobStatus


def test_a_dry_run_starts_nothing_and_leaves_nothing(world: Any, table: pd.DataFrame) -> None:
    shown: list[object] = []
    assert {} == world.left_by(lambda: shown.append(mltemporal.train(table, dry_run=True)))
    text = repr(shown[0])
    assert text.startswith("Everything that can be checked is right; nothing was started.\n")
    assert "\ntarget: 'y' (" in text


def test_a_launch_whose_workflow_does_not_start_leaves_no_job(
    world: Any, count: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("Temporal does not answer", "run `mltemporal doctor`")

    def launch(**fields: Any) -> None:
        with pytest.raises(ServiceUnavailable):
            mltemporal.train(table, count, params={"steps": 1}, **fields)

    mltemporal.train(table, count, params={"steps": 1}).wait(60)  # the table and the code are stored by now
    monkeypatch.setattr(owner, "start", away)
    assert {} == world.left_by(launch)


def test_a_retry_whose_workflow_does_not_start_leaves_the_job_as_it_was(
    world: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(data: pd.DataFrame) -> None:
        raise RuntimeError("the first failure")

    job = mltemporal.train(table, fit)
    job.wait(60)

    async def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("Temporal does not answer", "run `mltemporal doctor`")

    monkeypatch.setattr(restarting, "start", away)
    with pytest.raises(ServiceUnavailable):
        job.retry()
    assert (JobStatus.FAILED, True) == (job.status, "the first failure" in str(job.exception(0)))
    assert not list(world.settings.home.glob("launch/*"))


@pytest.fixture
def never_started(world: Any, count: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job whose kernel died between its row and its workflow."""

    async def never(*_: object, **__: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(owner, "start", never)
        return mltemporal.train(table, count, params={"steps": 8}, name="never started")


def test_a_job_that_was_never_started_is_started_by_the_same_call(
    world: Any, count: Any, table: pd.DataFrame, never_started: Any
) -> None:
    job = mltemporal.train(table, count, params={"steps": 8}, name="never started")
    assert never_started.id == job.id
    assert {"rows": 400.0} == job.result(60).metrics


def test_a_job_that_was_never_started_can_be_cancelled(world: Any, never_started: Any) -> None:
    assert never_started.cancel()
    assert JobStatus.CANCELLED is never_started.status


def test_whoever_waits_for_a_job_that_was_never_started_gets_its_result(
    world: Any, never_started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_OWNER_CHECK_S", 0.2)
    assert {"rows": 400.0} == never_started.result(60).metrics
