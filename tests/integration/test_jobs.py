"""``train`` and its handle on the real stack: server, worker and trainings are processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mltemporal
from mltemporal.errors import InvalidRequest, JobCancelled, JobFailed, NotFound
from mltemporal.specs.running import JobStatus

# Trainers


def test_the_baseline_finds_the_target_and_leaves_a_model(world: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, params={"max_iter": 5})
    result = job.result(90)
    assert (1, True) == (result.attempts, result.metrics["accuracy"] > 0.9)
    assert [0, 1] == list(job.model.predict(pd.DataFrame({"x": [1.0, 399.0]})))
    assert any("'y'" in note for note in job.view().notes)


def test_an_estimator_is_fitted_with_its_parameters(world: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, LogisticRegression(), target="y", params={"C": 0.5})
    assert 0.5 == job.result(90).model.C
    assert ("LogisticRegression", "y") == (job.name, mltemporal.models().iloc[0]["target"])


def test_a_function_s_value_comes_back(world: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, lambda data, k: {"sum": data["x"].sum(), "k": [k]}, params={"k": 3})
    result = job.result(60)
    assert {"sum": 79_800.0, "k": [3]} == result.value
    assert result.model is None


def test_a_script_runs_with_its_arguments_and_leaves_artifacts(
    world: Any, table: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(
        "import sys, mltemporal\n"
        "print('arguments', sys.argv[1:])\n"
        "mltemporal.log_artifact('some words', name='words.txt')\n"
    )
    job = mltemporal.train(table, mltemporal.Script(tmp_path / "train.py", args=["--k", 3]))
    job.result(60)
    assert "arguments ['--k', '3']" in job.logs()
    assert "some words" == job.artifacts["words.txt"].load()
    with pytest.raises(NotFound, match="the job left no artifact 'other'"):
        job.artifacts["other"]


# Once


def test_the_same_call_attaches_while_its_job_runs_and_starts_anew_after_its_end(
    world: Any, count: Any, table: pd.DataFrame, forever: Any
) -> None:
    params = {"steps": 9000, "pause_s": 0.1}
    before = world.traces()
    again = mltemporal.train(table, count, params=params, name="forever")
    assert forever.id == again.id
    assert before["files"] == world.traces()["files"], "attaching leaves nothing"
    other = mltemporal.train(table, count, params=params, name="forever", force=True)
    assert forever.id != other.id
    for job in (forever, other):
        job.cancel()
        assert job.wait(60)
    third = mltemporal.train(table, count, params=params, name="forever")
    assert third.id not in (forever.id, other.id)
    third.cancel()
    assert third.wait(60)


def test_two_processes_with_the_same_request_leave_one_job(world: Any, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time; time.sleep(1)")
    program = (
        "import sys, time, pandas as pd, mltemporal\n"
        "table = pd.DataFrame({'x': [1.0, 2.0], 'y': [0, 1]})\n"
        "script = mltemporal.Script(sys.argv[1])\n"
        "mltemporal.train(table, script, dry_run=True)\n"
        "time.sleep(max(0.0, float(sys.argv[2]) - time.time()))\n"
        "print(mltemporal.train(table, script).id)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "train.py"), str(time.time() + 6)]
    kernels = [
        subprocess.Popen(command, env=world.environ, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = {kernel.communicate(timeout=60)[0] for kernel in kernels}
    assert 1 == len(answers)
    job = mltemporal.job(int(answers.pop()))
    assert 1 == job.result(60).attempts


# Waiting


def test_a_timeout_ends_the_waiting_and_not_the_job(world: Any, forever: Any) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        forever.result(timeout=0.5)
    assert 0.4 < time.monotonic() - started < 3
    assert f"job {forever.id} is still running after 0.5 s; it goes on" == str(caught.value)
    assert not forever.wait(0)
    assert (False, True) == (forever.done(), forever.running())


def test_a_job_that_has_ended_needs_no_waiting(world: Any, count: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, count)
    job.wait(60)
    assert job.wait(0)
    assert {"rows": 400.0} == job.result(0).metrics
    assert job.exception(0) is None


def test_a_job_can_be_awaited(
    world: Any, count: Any, table: pd.DataFrame, in_a_loop: Callable[[Any], Any]
) -> None:
    assert {"rows": 400.0} == in_a_loop(mltemporal.train(table, count, params={"steps": 6})).metrics


def test_a_callback_is_called_at_the_end(
    world: Any, count: Any, table: pd.DataFrame, until: Callable[..., Any]
) -> None:
    called: list[Any] = []
    job = mltemporal.train(table, count, params={"steps": 7})
    job.add_done_callback(called.append)
    assert [job] == until(lambda: called)


# Ends


def test_a_failed_job_shows_the_user_s_own_traceback_first(world: Any, table: pd.DataFrame) -> None:
    def inner(data: pd.DataFrame) -> None:
        raise ValueError("the data is odd")

    def fit(data: pd.DataFrame) -> None:
        inner(data)

    job = mltemporal.train(table, fit)
    with pytest.raises(JobFailed) as caught:
        job.result(60)
    lines = str(caught.value).splitlines()
    assert "Traceback (most recent call last):" == lines[0]
    assert "ValueError: the data is odd" in lines
    frames = [line for line in lines if line.lstrip().startswith('File "')]
    assert [True, True] == [__file__ in frame for frame in frames]
    assert (JobStatus.FAILED, "the data is odd" in job.logs()) == (job.status, True)
    assert str(job.exception()) == str(caught.value)


def test_a_cancelled_job_says_so_and_who_did_it(world: Any, forever: Any) -> None:
    assert forever.cancel()
    with pytest.raises(JobCancelled) as caught:
        forever.result(60)
    assert f"job {forever.id} 'forever' was cancelled" == caught.value.what
    assert "job.retry() starts it again" == caught.value.next_step
    assert not forever.cancel()
    assert forever.cancelled()
    commands = [row for _, row in forever.history().iterrows() if row["kind"] == "command"]
    assert ["cancel", "cancel refused: it has ended as cancelled"] == [row["message"] for row in commands]
    assert all("@" in row["by"] and f"process {os.getpid()}" in row["by"] for row in commands)


def test_a_retry_goes_on_from_the_checkpoint_under_the_same_identity(
    world: Any, table: pd.DataFrame, tmp_path: Path
) -> None:
    def fit(data: pd.DataFrame, flag: str) -> dict[str, float]:

        begun = mltemporal.checkpoint.load() or 0
        for step in range(begun + 1, 7):
            mltemporal.report(step=step, total=6)
            mltemporal.checkpoint.save(step)
            if step == 3 and not os.path.exists(flag):
                raise RuntimeError("not yet")
        return {"begun": begun}

    job = mltemporal.train(table, fit, params={"flag": str(tmp_path / "flag")}, retries=0)
    assert "not yet" in str(job.exception(60))
    (tmp_path / "flag").write_text("")
    assert job.retry() is job
    result = job.result(60)
    assert ({"begun": 3.0}, 2) == (result.metrics, result.attempts)
    assert [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)] == world.steps(job)
    assert 2 == job.view().attempts_allowed
    with pytest.raises(InvalidRequest) as caught:
        job.retry()
    assert "cannot retry a job that is succeeded" == caught.value.what


def test_a_job_can_be_retried_in_the_very_moment_of_its_end(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        raise RuntimeError("again")

    job = mltemporal.train(table, fit)
    for attempt in range(1, 6):
        assert "RuntimeError: again" in str(job.exception(60))
        assert attempt == job.view().attempt
        job.retry()
    job.wait(60)


def test_a_retried_job_whose_data_is_gone_says_that_and_not_what_was_before(
    world: Any, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("x,y\n1,0\n2,1\n")

    def fit(data: pd.DataFrame) -> None:
        raise RuntimeError("the first failure")

    job = mltemporal.train(str(path), fit)
    assert "the first failure" in str(job.exception(60))
    path.unlink()
    error = str(job.retry().exception(60))
    assert str(path) in error
    assert "the first failure" not in error


def test_a_paused_job_waits_and_goes_on(world: Any, forever: Any, until: Callable[..., Any]) -> None:
    forever.pause()
    until(lambda: forever.status is JobStatus.PAUSED)
    forever.resume()
    until(lambda: forever.status is JobStatus.RUNNING)
    forever.cancel()
    forever.wait(60)
    with pytest.raises(InvalidRequest) as caught:
        forever.pause()
    assert "cannot pause a job that is cancelled" == caught.value.what
