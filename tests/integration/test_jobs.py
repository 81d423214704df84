"""``train`` and its handle on the real stack: server, worker and trainings are processes of their own."""

import os
import signal
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
from mltemporal import owner, session, stack, watching
from mltemporal.errors import (
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    ServiceUnavailable,
)
from mltemporal.specs import JobStatus, ObjectRef, decode


def count(data: pd.DataFrame, steps: int = 5, pause_s: float = 0.0) -> dict[str, float]:
    """Report so many steps; what most of these jobs do."""
    import time

    for step in range(1, steps + 1):
        mltemporal.report(step=step, total=steps, loss=1 / step)
        time.sleep(pause_s)
    return {"rows": len(data)}


@pytest.fixture
def forever(world: Any, table: pd.DataFrame, until: Callable[..., Any]) -> Any:
    """A job that would run for a quarter of an hour, cancelled with the test."""
    job = mltemporal.train(table, count, params={"steps": 9000, "pause_s": 0.1}, name="forever")
    until(lambda: world.steps(job))
    yield job
    job.cancel()
    job.wait(60)


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
    world: Any, table: pd.DataFrame, forever: Any
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


def test_a_job_that_has_ended_needs_no_waiting(world: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, count)
    job.wait(60)
    assert job.wait(0)
    assert {"rows": 400.0} == job.result(0).metrics
    assert job.exception(0) is None


def test_a_job_can_be_awaited(world: Any, table: pd.DataFrame, in_a_loop: Callable[[Any], Any]) -> None:
    assert {"rows": 400.0} == in_a_loop(mltemporal.train(table, count, params={"steps": 6})).metrics


def test_a_callback_is_called_at_the_end(world: Any, table: pd.DataFrame, until: Callable[..., Any]) -> None:
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
    assert [("cancel", True)] == [(row["message"], "@" in row["by"]) for row in commands]


def test_a_retry_goes_on_from_the_checkpoint_under_the_same_identity(
    world: Any, table: pd.DataFrame, tmp_path: Path
) -> None:
    def fit(data: pd.DataFrame, flag: str) -> dict[str, float]:
        import os

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


# Looking


def test_the_log_is_followed_to_its_end(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        import time

        for i in range(30):
            print("line", i, flush=True)
            time.sleep(0.02)

    job = mltemporal.train(table, fit)
    lines = [line for line in job.logs(follow=True) if line.startswith("line")]
    assert [f"line {i}" for i in range(30)] == lines
    assert job.done()
    assert "line 28\nline 29" == job.logs(tail=2)
    assert ["line 29"] == list(job.logs(tail=1, follow=True))
    assert ("", []) == (job.logs(tail=0), list(job.logs(tail=0, follow=True)))
    with pytest.raises(InvalidRequest, match="tail=-1 is not possible"):
        job.logs(tail=-1)


def test_of_a_very_long_log_the_end_is_at_hand_and_the_whole_is_kept(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        for i in range(100_000):
            print(f"{i:059}")

    job = mltemporal.train(table, fit)
    job.wait(60)
    assert [f"{i:059}" for i in range(99_990, 100_000)] == job.logs(tail=10).splitlines()
    (attempt,) = world.database.jobs.attempts(job.id)
    with session.current().storage.local_path(decode(attempt["log_json"], ObjectRef)) as whole:
        printed = [line for line in whole.read_text().splitlines() if line.startswith("0")]
    assert 100_000 == len(printed)
    kept = sum(len(text) for _, _, text in world.database.progress.log(job.id))
    assert kept < 6 << 20


def test_metrics_and_history_are_tables(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        for step in (1, 2):
            mltemporal.report(step=step, loss=1 / step, time=0.5, attempt=9)
        mltemporal.report(accuracy=float("nan"))

    job = mltemporal.train(table, fit)
    job.wait(60)
    metrics = job.metrics()
    assert ["step", "attempt", "time", "loss", "time_", "attempt_", "accuracy"] == list(metrics.columns)
    assert [1, 2, None] == [None if step is pd.NA else step for step in metrics["step"]]
    assert [1.0, 0.5] == list(metrics["loss"].dropna())
    assert metrics["time"].is_monotonic_increasing
    assert metrics["accuracy"].isna().all()
    history = job.history()
    assert ["time", "kind", "attempt", "message", "by"] == list(history.columns)
    assert ["submitted", "finished"] == [history["kind"].iloc[0], history["kind"].iloc[-1]]
    assert {"stage", "attempt", "attempt ended"} <= set(history["kind"])


def test_a_job_without_reports_has_an_empty_table(world: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, count, params={"steps": 0})
    job.wait(60)
    assert (["step", "attempt", "time"], 0) == (list(job.metrics().columns), len(job.metrics()))
    assert job.progress is None


def test_jobs_models_and_datasets_are_found_again(world: Any, table: pd.DataFrame) -> None:
    named = mltemporal.train(table, LogisticRegression(), target="y", name="<b>churn</b>", tags=["nightly"])
    named.wait(60)
    assert [named.id] == [job.id for job in mltemporal.jobs(name="<b>churn</b>")]
    assert named.id in [job.id for job in mltemporal.jobs(status="succeeded", tag="nightly")]
    assert [] == mltemporal.jobs(status="failed", tag="nightly")
    ids = mltemporal.history(name="<b>churn</b>").frame["id"]
    assert named.id == mltemporal.job(ids[0]).id == mltemporal.job("<b>churn</b>").id
    assert (named.id, "LogisticRegression") == tuple(mltemporal.models().iloc[0][["job", "model"]])
    assert "parquet" in set(mltemporal.datasets()["format"])
    shown = mltemporal.jobs()._repr_html_() + mltemporal.history()._repr_html_()
    assert "&lt;b&gt;churn&lt;/b&gt;" in shown
    assert "<b>churn</b>" not in shown


@pytest.mark.parametrize("wanted", [True, 0, -1, None, 1.5])
def test_what_is_neither_id_nor_name_is_refused(world: Any, wanted: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mltemporal.job(wanted)
    assert f"{wanted!r} is neither id nor name\nNext step: give job(7) or job('churn')" == str(caught.value)


def test_a_repr_does_not_wait_for_anything(world: Any, forever: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(forever), "_row", None)
    assert f"<TrainingJob {forever.id} 'forever'>" == repr(forever)


# Nothing is left


def test_a_dry_run_starts_nothing_and_leaves_nothing(world: Any, table: pd.DataFrame) -> None:
    shown: list[object] = []
    assert {} == world.left_by(lambda: shown.append(mltemporal.train(table, dry_run=True)))
    text = repr(shown[0])
    assert text.startswith("Everything that can be checked is right; nothing was started.\n")
    assert "\ntarget: 'y' (" in text


def test_a_launch_whose_workflow_does_not_start_leaves_no_job(
    world: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.setattr(owner, "start", away)
    with pytest.raises(ServiceUnavailable):
        job.retry()
    assert (JobStatus.FAILED, True) == (job.status, "the first failure" in str(job.exception(0)))
    assert not list(world.settings.home.glob("launch/*"))


@pytest.fixture
def never_started(world: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job whose kernel died between its row and its workflow."""

    async def never(*_: object, **__: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(owner, "start", never)
        return mltemporal.train(table, count, params={"steps": 8}, name="never started")


def test_a_job_that_was_never_started_is_started_by_the_same_call(
    world: Any, table: pd.DataFrame, never_started: Any
) -> None:
    job = mltemporal.train(table, count, params={"steps": 8}, name="never started")
    assert never_started.id == job.id
    assert {"rows": 400.0} == job.result(60).metrics


def test_a_job_that_was_never_started_can_be_cancelled(world: Any, never_started: Any) -> None:
    assert never_started.cancel()
    assert JobStatus.CANCELLED is never_started.status


def test_whoever_waits_for_a_job_that_was_never_started_is_told(
    world: Any, never_started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_OWNER_CHECK_S", 0.2)
    error = str(never_started.exception(30))
    assert error.startswith("its workflow was never started\nNext step: ")
    assert {"rows": 400.0} == never_started.retry().result(60).metrics


# Killed: the same process goes on, in attempt 1, and every point is recorded once


def killed_during(world: Any, job: Any, kill: Callable[[], None], until: Callable[..., Any]) -> float:
    """Kill something while the job runs; returns after how many seconds it was followed again."""
    training = world.training(job)
    until(lambda: len(world.steps(job)) > 5)
    kill()
    killed_at = time.monotonic()
    seen = len(world.steps(job))
    until(lambda: len(world.steps(job)) > seen + 5)
    followed_after_s = time.monotonic() - killed_at
    assert training == world.training(job)
    assert training.alive
    return followed_after_s


def assert_whole(world: Any, job: Any, steps: int) -> None:
    result = job.result(60)
    assert (1, {"rows": 400.0}) == (result.attempts, result.metrics)
    assert [(1, step) for step in range(1, steps + 1)] == world.steps(job)
    assert list(range(1, steps + 1)) == list(job.metrics()["step"])


def test_a_killed_worker_s_job_is_followed_again_within_30_seconds(
    world: Any, table: pd.DataFrame, until: Callable[..., Any], record_property: Callable[..., None]
) -> None:
    job = mltemporal.train(table, count, params={"steps": 130, "pause_s": 0.1})

    def kill() -> None:
        before = stack.state(world.settings).worker_pid
        os.kill(before, signal.SIGKILL)
        until(lambda: stack.state(world.settings).worker_pid not in (None, before))

    followed_after_s = killed_during(world, job, kill, until)
    record_property("followed_again_after_s", followed_after_s)
    print(f"followed again {followed_after_s:.1f} s after the worker was killed")
    assert followed_after_s < 30
    assert_whole(world, job, 130)
    assert "follow" in set(job.history()["kind"])


def test_a_killed_server_costs_nothing(world: Any, table: pd.DataFrame, until: Callable[..., Any]) -> None:
    job = mltemporal.train(table, count, params={"steps": 50, "pause_s": 0.1})

    def kill() -> None:
        server = stack.state(world.settings).services["temporal"]
        server.process.send(signal.SIGKILL)
        until(lambda: stack.state(world.settings).services["temporal"].restarts > server.restarts)

    followed_after_s = killed_during(world, job, kill, until)
    print(f"followed again {followed_after_s:.1f} s after the server was killed")
    assert_whole(world, job, 50)


def test_a_killed_kernel_costs_nothing_and_another_one_finds_the_job(
    world: Any, until: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(
        "import time, mltemporal\n"
        "for step in range(1, 61):\n"
        "    mltemporal.report(step=step, total=60)\n"
        "    time.sleep(0.05)\n"
    )
    program = (
        "import sys, time, pandas as pd, mltemporal\n"
        "table = pd.DataFrame({'x': [1.0, 2.0], 'y': [0, 1]})\n"
        "job = mltemporal.train(table, mltemporal.Script(sys.argv[1]))\n"
        "print(job.id, flush=True)\n"
        "job.watch(lambda view: None)\n"
        "job.result()\n"
    )
    kernel = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "train.py")],
        env=world.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    with kernel.stdout as said:
        job = mltemporal.job(int(said.readline()))
    training = world.training(job)
    until(lambda: len(world.steps(job)) > 3)
    kernel.kill()
    kernel.wait()
    assert training == world.training(job)
    assert 1 == job.result(60).attempts
    assert [(1, step) for step in range(1, 61)] == world.steps(job)
    assert list(range(1, 61)) == list(job.metrics()["step"])
