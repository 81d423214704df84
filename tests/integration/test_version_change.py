"""A version change under load: real code of two builds, real workers, jobs that run through all of it.

``VERSION_CHANGE_JOBS=50`` makes it fifty jobs instead of eight; it is not part of CI (``-m long``).
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from services.other_build import OtherBuild
from services.used_stack import until_released, used_stack

import mltemporal
from mltemporal import stack
from mltemporal.deployments.board import VersionBoard
from mltemporal.deployments.build import build_id
from mltemporal.errors import VersionMismatch
from mltemporal.settings import Settings
from mltemporal.stack.deployed import deployed
from mltemporal.stack.home import StackFiles

JOBS = int(os.environ.get("VERSION_CHANGE_JOBS", "8"))
STEPS = 40


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[Settings]:
    """A stack whose jobs end on the build that they began on, used by this process."""
    yield from used(tmp_path, "pinned")


@pytest.fixture
def upgrading(tmp_path: Path) -> Iterator[Settings]:
    """A stack as on a laptop, whose worker takes over from other builds, used by this process."""
    yield from used(tmp_path, "auto_upgrade")


def used(tmp_path: Path, versioning: str) -> Iterator[Settings]:
    jobs = {"MLTEMPORAL_MAX_LOCAL_JOBS": str(2 * JOBS)}
    yield from used_stack(tmp_path, MLTEMPORAL_VERSIONING=versioning, **jobs)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_new_jobs_move_to_a_new_build_old_ones_end_on_theirs_and_nothing_is_lost(  # noqa: PLR0915
    pinned: Settings, tmp_path: Path, until
) -> None:
    figures = {"jobs": JOBS}
    new = OtherBuild.make(tmp_path / "new")
    old_build, new_build = build_id(), new.build_id()
    release = tmp_path / "release"
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0]})

    def launch(count: int, name: str) -> list:
        params = {"release": str(release), "steps": STEPS}
        return [
            mltemporal.train(table, until_released, params=params, name=f"{name}-{number}", force=True)
            for number in range(count)
        ]

    def running_on(build: str) -> int:
        time.sleep(0.5)  # Temporal limits how often a deployment may be asked
        found = {row.version.build: row.version.jobs for row in mltemporal.versions().rows}
        return found.get(build, 0)

    before = launch(JOBS, "before")
    until(lambda: all(job.progress and job.progress.step == STEPS // 2 for job in before), within_s=300)
    assert JOBS == until(lambda: running_on(old_build) == JOBS and JOBS)

    began = time.monotonic()
    said = new.run(pinned, ["versions", "deploy"])
    assert f"{JOBS} recent workflows replay on build {new_build}" in said
    assert f"beside {old_build}" in said
    assert f"a worker of build {new_build} runs already" in new.run(pinned, ["versions", "deploy"])
    figures["deployed_s"] = time.monotonic() - began

    during = []
    for ramp in ("5", "50"):
        assert f"gets {ramp} % of the new jobs" in new.run(pinned, ["versions", "promote", "--ramp", ramp])
        during += launch(JOBS // 4, f"ramp-{ramp}")
    said = new.run(pinned, ["versions", "promote"])
    assert (
        f"build {new_build} is current: it gets all new jobs; those that run on {old_build} end there" in said
    )
    until(lambda: running_on(old_build) + running_on(new_build) == JOBS + len(during))
    split = running_on(new_build)
    figures["of_new_jobs_in_the_ramp_on_the_new_build"] = f"{split} of {len(during)}"
    after = launch(JOBS // 4, "after")
    until(lambda: running_on(new_build) == split + len(after))

    left = running_on(old_build)
    said = new.run(pinned, ["versions", "retire", old_build], code=1)
    assert f"{left} workflows run on build {old_build}" in said
    said = new.run(pinned, ["up"], code=1)
    assert f"{left} workflows run on build {old_build}" in said

    release.touch()
    began = time.monotonic()
    for job in [*before, *during, *after]:
        assert STEPS == job.result(300).value
    figures["all_ended_s"] = time.monotonic() - began
    for job in [*before, *during, *after]:
        points = job.metrics()
        assert list(range(1, STEPS + 1)) == list(points["step"]), "each step once, in one attempt"
        assert {1} == set(points["attempt"])

    def state_of(build: str) -> str:
        time.sleep(0.5)
        return {row.version.build: row.version.state for row in mltemporal.versions().rows}.get(build, "gone")

    began = time.monotonic()
    until(lambda: state_of(old_build) == "drained")
    figures["drained_s"] = time.monotonic() - began
    said = new.run(pinned, ["versions", "retire", old_build], code=1)
    assert "run `mltemporal up` from the newer code" in said
    assert f"mltemporal 9.0.0 took over from {mltemporal.__version__}; no job was running." in new.run(
        pinned, ["up"]
    )
    assert {} == deployed(StackFiles(pinned.home)), "the stack's own worker is of that build now"
    assert f"build {old_build} is retired" in new.run(pinned, ["versions", "retire", old_build])
    said = new.run(pinned, ["versions"])
    assert old_build not in said
    assert f"{new_build} (this code)" in said
    with pytest.raises(VersionMismatch, match="restart the kernel"):
        stack.up(pinned)
    print(figures)


def test_a_change_that_does_not_replay_is_caught_before_it_ships(pinned: Settings, tmp_path: Path) -> None:
    job = mltemporal.train(pd.DataFrame({"x": [1.0, 2.0]}), len, name="plain")
    job.result(60)
    good = OtherBuild.make(tmp_path / "good")
    assert "all 1 fit this code" in good.run(pinned, ["replay"])
    bad = OtherBuild.make(tmp_path / "bad", nondeterministic=True)
    said = bad.run(pinned, ["replay"], code=1)
    assert re.search(r"FAILS +\d+ ActivityTaskScheduled", said)
    assert "1 of 1 do not fit this code" in said
    said = bad.run(pinned, ["versions", "deploy"], code=1)
    assert f"1 of 1 recent workflows do not replay on build {bad.build_id()}: job {job.id} does not" in said
    assert "workflow.patched" in said
    assert {} == deployed(StackFiles(pinned.home))
    assert "FAILS" in bad.run(pinned, ["replay", "--job", str(job.id)], code=1)
    assert "there is no job 77" in bad.run(pinned, ["replay", "--job", "77"], code=1)


@pytest.mark.long
def test_a_ramp_is_taken_back_and_a_promoted_build_too(pinned: Settings, tmp_path: Path, until) -> None:
    new = OtherBuild.make(tmp_path / "new")
    old_build, new_build = build_id(), new.build_id()
    until(lambda: mltemporal.versions().rows)  # Temporal lists a version some moments after it is current
    said = new.run(pinned, ["versions", "promote"], code=1)
    assert f"Temporal knows no build '{new_build}'" in said
    assert f"there are: {old_build}" in said
    new.run(pinned, ["versions", "deploy"])
    new.run(pinned, ["versions", "promote", "--ramp", "50"])
    board = mltemporal.versions()
    assert isinstance(board, VersionBoard)
    assert {"ramping": 50.0, "current": 50.0} == dict(board.frame[["state", "percentage"]].values)
    assert "ramping, 50 % of new jobs" in repr(board)
    assert f"{old_build} gets all" in new.run(pinned, ["versions", "rollback"])
    new.run(pinned, ["versions", "promote"])
    assert f"build {new_build} is current already" in new.run(pinned, ["versions", "promote"])
    assert f"build {old_build} is current again" in new.run(pinned, ["versions", "rollback"])
    said = new.run(pinned, ["versions", "rollback"], code=1)
    assert f"there is no version before {old_build}" in said


def test_where_the_promoted_builds_worker_dies_the_stacks_takes_over(
    upgrading: Settings, tmp_path: Path, until
) -> None:
    new = OtherBuild.make(tmp_path / "new")
    until(lambda: mltemporal.versions().rows)
    new.run(upgrading, ["versions", "deploy"])
    new.run(upgrading, ["versions", "promote"])
    deployed(StackFiles(upgrading.home))[new.build_id()].send(signal.SIGKILL)
    job = mltemporal.train(pd.DataFrame({"x": [1.0, 2.0]}), len, name="plain")
    assert 2 == job.result(120).value
    current = [row.version.build for row in mltemporal.versions().rows if row.version.state == "current"]
    assert [build_id()] == current
