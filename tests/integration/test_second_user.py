"""Another user of the same machine reaches the embedded server's port, and gets nowhere with it.

The stranger is a real process of another user (`tests/services/stranger.py`) with Temporal's own client.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from services import stranger

import mltemporal
from mltemporal import session
from mltemporal.encryption.codec_server import CodecServer
from mltemporal.encryption.plugin import keyring_of
from mltemporal.handles import TrainingJob
from mltemporal.stack import state
from mltemporal.stack.server import find_binary

CANARY = "canary-4711"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


class Stranger:
    """The other user."""

    def __init__(self, address: str) -> None:
        self._address = address

    def begins(self, action: str, *arguments: str) -> subprocess.Popen[str]:
        """Begin something, as a process of its own."""
        return subprocess.Popen(
            [sys.executable, stranger.__file__, self._address, action, *arguments],
            cwd="/",
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, action: str, *arguments: str) -> Any:
        """Do something and return what came of it."""
        process = self.begins(action, *arguments)
        said = process.communicate(timeout=90)[0]
        assert 0 == process.returncode
        return json.loads(said.splitlines()[-1])


@pytest.fixture
def other(world: Any) -> Stranger:
    running = state(world.settings)
    assert running is not None
    return Stranger(running.temporal_address)


@pytest.fixture
def job(world: Any, table: pd.DataFrame, count: Any, until: Any) -> Any:
    """A job of the owner's that runs, and can end well at any time."""
    job = mltemporal.train(
        table, count, params={"steps": 9000, "pause_s": 0.1}, name=f"secret {CANARY}", tags=[CANARY]
    )
    until(lambda: world.steps(job))
    yield job
    job.cancel()
    job.wait(60)


def workflow(world: Any, job: TrainingJob) -> str:
    return str(world.database.jobs.get(job.id).workflow_id)


def queue() -> str:
    return session.current().task_queue("local")


def test_the_owner_reads_all_of_it_in_temporals_own_tools(world: Any, job: TrainingJob) -> None:
    running = state(world.settings)
    assert running is not None
    keys = keyring_of(world.settings)
    assert keys is not None
    show = [str(find_binary()), "workflow", "show", "--address", running.temporal_address]
    show += ["--workflow-id", workflow(world, job), "--output", "json"]
    with CodecServer(keys, origins=[running.web_ui]) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        told = [
            subprocess.run(show + more, capture_output=True, text=True, timeout=60, check=False).stdout
            for more in ([], ["--codec-endpoint", server.url], ["--codec-endpoint", f"{server.url}x"])
        ]
        server.shutdown()
    summary = base64.b64encode(b'"check the dataset"').decode()
    assert [False, True, False] == [summary in each for each in told]


def test_a_stranger_reads_nothing_of_a_job(world: Any, other: Stranger, job: TrainingJob) -> None:
    told = json.dumps(other.does("read", workflow(world, job)))
    assert "TrainingWorkflow" in told, "the server did answer"
    for secret in (CANARY, "attempt 1", "check the dataset", session.current().user, "running", "follow"):
        assert secret not in told.replace(workflow(world, job), "").replace("Running", "")


def test_a_workflow_started_by_a_stranger_is_refused_and_does_nothing(
    world: Any, other: Stranger, job: TrainingJob
) -> None:
    before = world.traces()
    for kind, arguments in (
        ("TrainingWorkflow", [str(job.id)]),
        ("TrainingWorkflow", []),
        ("MonitoringWorkflow", []),
        ("MonitoringWorkflow", ['"monitor"']),
        ("NotificationWorkflow", ['{"job_id": 1}']),
    ):
        ended = other.does("start", kind, queue(), *arguments)
        assert "FAILED" == ended["status"], (kind, arguments, ended["end"])
        assert "ACTIVITY_TASK_SCHEDULED" not in ended["history"]
        assert 1 == ended["history"].count('"EVENT_TYPE_WORKFLOW_TASK_STARTED"'), "it is not tried again"
    after = world.traces()
    assert before["files"] == after["files"]
    assert before["jobs"] == after["jobs"]


def test_a_sealed_argument_starts_no_other_workflow(world: Any, other: Stranger, job: TrainingJob) -> None:
    source = workflow(world, job)
    for kind, name in (
        ("TrainingWorkflow", "strange-copy"),
        ("TrainingWorkflow", f"{source}-2026-01-01T00:00:00Z"),
        ("InferenceWorkflow", "strange-kind"),
    ):
        ended = other.does("copy", source, kind, name, queue())
        assert "FAILED" == ended["status"], ended["end"]
        assert "ACTIVITY_TASK_SCHEDULED" not in ended["history"]


def test_a_job_that_has_ended_is_not_started_again(
    world: Any, other: Stranger, table: pd.DataFrame, count: Any
) -> None:
    job = mltemporal.train(table, count, name="ended")
    job.result(60)
    before = world.traces()
    for kind in ("TrainingWorkflow", "PreprocessingWorkflow"):
        ended = other.does("copy", workflow(world, job), kind, workflow(world, job), queue())
        assert "FAILED" == ended["status"], ended["end"]
    assert "succeeded" == job.status
    assert before["files"] == world.traces()["files"]


@pytest.mark.parametrize(
    "what",
    [
        "nothing",
        "input",
        *(pytest.param(word, marks=pytest.mark.long) for word in ("plain", "heartbeat", "failure")),
    ],
)
def test_an_answer_of_a_strangers_ends_a_job_in_words_and_it_starts_again(
    what: str, world: Any, other: Stranger, job: TrainingJob, until: Callable[..., Any]
) -> None:
    assert what == other.does("answer", workflow(world, job), "monitor_training", what)
    job.wait(60)
    assert "failed" == job.status
    error = world.database.jobs.get(job.id).error
    assert "refused" in error
    assert "a word of a stranger" not in error
    before = len(world.steps(job))
    job.retry()
    until(lambda: len(world.steps(job)) > before)


def test_a_stranger_gives_no_commands(world: Any, other: Stranger, job: TrainingJob, until: Any) -> None:
    refusals = other.does("tell", workflow(world, job))
    assert 2 == len(refusals)
    assert all(text.startswith("refused") for text in refusals), refusals
    before = len(world.steps(job))
    until(lambda: len(world.steps(job)) > before)
    assert "running" == job.status
    job.pause()
    job.resume()


def test_a_stolen_task_of_an_activity_ends_its_job_in_words(
    world: Any, other: Stranger, job: TrainingJob, until: Any
) -> None:
    thief = other.begins("steal_activities", queue())
    assert thief.stdout is not None
    assert "waiting" == thief.stdout.readline().strip()

    def lose_the_worker() -> None:
        """So that what it followed is given out again, to whoever asks first."""
        pid = until(lambda: (running := state(world.settings)) and running.worker_pid)
        os.kill(pid, signal.SIGKILL)

    for _ in range(6):
        lose_the_worker()
        with suppress(subprocess.TimeoutExpired):
            thief.wait(20)
            break
    assert workflow(world, job) == json.loads(thief.communicate(timeout=1)[0].splitlines()[-1])
    job.wait(60)
    assert "failed" == job.status
    assert "refused" in world.database.jobs.get(job.id).error


def test_nothing_of_the_home_can_be_read_or_written_by_a_stranger(
    world: Any, other: Stranger, job: TrainingJob
) -> None:
    home = Path(world.settings.home)
    opened = [folder for folder in home.parents if folder.is_relative_to("/tmp") and folder != Path("/tmp")]
    modes = {folder: folder.stat().st_mode & 0o777 for folder in opened}
    for folder in opened:
        folder.chmod(0o755)  # otherwise they would be what protects it
    try:
        found = other.does("files", str(home))
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)
    assert {"readable": [], "writable": [], "listed": []} == found


def test_a_terminated_job_is_noticed_and_starts_again(
    world: Any, other: Stranger, job: TrainingJob, until: Any
) -> None:
    other.does("terminate", workflow(world, job))
    before = len(world.steps(job))
    with pytest.raises(mltemporal.errors.MLTemporalError, match="terminated"):
        job.result(120)
    job.retry()
    until(lambda: len(world.steps(job)) > before)


@pytest.mark.long
def test_a_workflow_that_a_stranger_ends_leaves_a_job_that_says_so(
    world: Any, other: Stranger, table: pd.DataFrame, count: Any, until: Any
) -> None:
    thief = other.begins("steal_workflow", queue())
    assert thief.stdout is not None
    assert "waiting" == thief.stdout.readline().strip()
    jobs = []
    while thief.poll() is None:
        jobs.append(
            mltemporal.train(table, count, params={"steps": 20}, name=f"bait {len(jobs)}", force=True)
        )
        until(lambda: jobs[-1].done() or thief.poll() is not None, 60)
    stolen = json.loads(thief.communicate()[0].splitlines()[-1])
    lost = next(job for job in jobs if workflow(world, job) == stolen)
    with pytest.raises(mltemporal.errors.MLTemporalError, match="Temporal"):
        lost.result(60)
    lost.retry()
    assert {"rows": 400} == lost.result(60).value
