"""``pip install -U`` on a laptop: newer code takes the stack over, and what runs goes on."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from services.other_build import HARMLESS, OtherBuild
from services.used_stack import until_released, used_stack

import mltemporal
from mltemporal import background, session, stack
from mltemporal.deployments.build import build_id
from mltemporal.errors import VersionMismatch
from mltemporal.handles import TrainingJob
from mltemporal.settings import Settings
from mltemporal.specs.running import JobStatus

STEPS = 30


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A stack of this code, used by this process."""
    yield from used_stack(tmp_path)


@pytest.fixture
def halfway(settings: Settings, tmp_path: Path, until) -> TrainingJob:
    """A job that goes on once the file ``release`` is there."""
    params = {"release": str(tmp_path / "release"), "steps": STEPS}
    job = mltemporal.train(pd.DataFrame({"x": [1.0, 2.0]}), until_released, params=params, name="halfway")
    until(lambda: job.progress and job.progress.step == STEPS // 2)
    return job


def ends_in_one_attempt(job: TrainingJob, release: Path) -> None:
    release.touch()
    assert STEPS == job.result(100).value
    points = job.metrics()
    assert list(range(1, STEPS + 1)) == list(points["step"])
    assert {1} == set(points["attempt"])


def test_newer_code_takes_over_and_says_so_in_one_sentence(
    settings: Settings, halfway: TrainingJob, tmp_path: Path, until
) -> None:
    newer = OtherBuild.make(tmp_path / "newer")
    said = newer.run(settings, ["up"])
    assert f"mltemporal 9.0.0 took over from {mltemporal.__version__}; 1 running job goes on." in said
    assert "took over" not in newer.run(settings, ["up"])
    until(lambda: stack.status(settings).workers[-1:] and newer.build_id() in repr(stack.status(settings)))
    ends_in_one_attempt(halfway, tmp_path / "release")
    with pytest.raises(VersionMismatch, match="restart the kernel"):
        stack.up(settings)
    assert [newer.build_id()] == [
        row.version.build for row in mltemporal.versions().rows if row.version.state == "current"
    ]


def test_a_workflow_that_does_not_fit_newer_code_is_replaced_and_its_training_does_not_notice(
    settings: Settings, halfway: TrainingJob, tmp_path: Path, until
) -> None:
    newer = OtherBuild.make(tmp_path / "newer", nondeterministic=True)
    newer.run(settings, ["up"])
    until(lambda: any("a new workflow took over" in text for text in halfway.history()["message"]))
    ends_in_one_attempt(halfway, tmp_path / "release")
    (told,) = [text for text in halfway.history()["message"] if "a new workflow took over" in text]
    assert f"the one before does not fit mltemporal {newer.build_id()}" in told


@pytest.mark.long
def test_a_workflow_that_is_being_cancelled_stays_cancelled_when_it_is_replaced(
    settings: Settings, halfway: TrainingJob, tmp_path: Path, until
) -> None:
    running = stack.state(settings)
    assert running is not None
    running.supervisor.send(9)  # so that nobody carries the cancellation out before the newer code is there
    until(lambda: not running.alive)
    worker = running.services["worker"].process
    assert worker is not None
    worker.send(9)
    until(lambda: not worker.alive)
    newer = OtherBuild.make(tmp_path / "newer", nondeterministic=True)

    async def cancel() -> None:
        from temporalio.client import Client

        client = await Client.connect(running.temporal_address)
        await client.get_workflow_handle(halfway._key).cancel()

    background.run(cancel())
    newer.run(settings, ["up"])
    assert halfway.wait(100)
    assert halfway.status is JobStatus.CANCELLED


@pytest.mark.long
def test_an_edit_of_the_workflow_code_takes_over_when_a_new_process_runs_it(
    settings: Settings, tmp_path: Path
) -> None:
    session.replace(None)
    stack.down(settings)
    copy = OtherBuild.make(tmp_path / "copy", version="1.0.0")
    assert "is up" in copy.run(settings, ["up"])
    first = copy.build_id()
    edited = copy.folder / "mltemporal" / "worker.py"
    edited.write_text(edited.read_text() + HARMLESS)
    assert "runs already" in copy.run(settings, ["up"]), "an edit elsewhere restarts nothing"
    edited = copy.folder / "mltemporal" / "specs" / "results.py"
    edited.write_text(edited.read_text() + HARMLESS)
    said = copy.run(settings, ["up"])
    assert f"mltemporal {copy.build_id()} took over from build {first}; no job was running." in said


def test_a_handle_replays_its_own_history(settings: Settings) -> None:
    job = mltemporal.train(pd.DataFrame({"x": [1.0, 2.0]}), len, name="plain")
    job.result(60)
    found = job.replay()
    assert found.ok
    assert f"job {job.id} replays on this code: {found.events} events of TrainingWorkflow" == repr(found)
    (row,) = [row for row in mltemporal.versions().rows if row.version.build == build_id()]
    assert ("current", 1, True) == (row.version.state, row.workers, row.here)
