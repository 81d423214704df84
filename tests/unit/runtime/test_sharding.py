"""Shards side by side: each done once, whatever is killed, and never again in another attempt."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.progress import Line, parse_line
from mltemporal.runtime import sharding
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.runtime.failure import FailedElsewhere, failure_of, users_traceback
from mltemporal.specs.data import DatasetRef, Shard
from mltemporal.specs.encoding import encode
from mltemporal.specs.request import JobSpec, PodOptions, TrainerRef
from mltemporal.storage.content import Storage

WORK = """
import os, pathlib, signal, time
from mltemporal.runtime import sharding

FOLDER = pathlib.Path(os.environ["WORK_FOLDER"])

def write(job, shard):
    sharding.advance(shard.rows)
    log = FOLDER / f"{shard.index}.log"
    with log.open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {sharding.threads()}\\n")
    begun = log.read_text().count("\\n")
    killed = FOLDER / f"kill-{shard.index}"
    if (FOLDER / f"child-{shard.index}").exists() and begun == 1:
        child = os.fork()
        if not child:
            time.sleep(600)
        (FOLDER / "child").write_text(str(child))
    if killed.exists() and begun <= int(killed.read_text()):
        os.kill(os.getpid(), signal.SIGKILL)
    if (FOLDER / f"fail-{shard.index}").exists():
        raise ValueError(f"shard {shard.index} is odd")
    while (FOLDER / f"wait-{shard.index}").exists():
        time.sleep(0.01)
    return {"rows": shard.rows, "index": shard.index}
"""

ATTEMPT = """
import sys
from mltemporal.runtime import context, reporting, sharding, stopping
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.specs.data import Shard
from mltemporal.specs.encoding import decode
from mltemporal.storage.content import Storage

reporting.open_output()
stopping.stop_on_sigterm()
job = Job(Storage(sys.argv[1]), "job-1", 1)
context.enter(job)
shards = decode(sys.argv[2], list[Shard])
sharding.run_shards(job, shards, "shard_work:write", total_rows=sum(s.rows for s in shards), workers=2)
reporting.flush()
"""

SHARDS = tuple(Shard(index=i, file=0, first_row=10 * i, rows=10) for i in range(6))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the work is, and where it leaves its traces and finds what is to happen."""
    (tmp_path / "shard_work.py").write_text(WORK)
    monkeypatch.setenv("WORK_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shard_work", raising=False)
    return tmp_path


Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(job: Job, folder: Path) -> Run:
    def run(shards: tuple[Shard, ...] = SHARDS, workers: int | None = 2) -> list[dict[str, Any]]:
        rows = sum(shard.rows for shard in shards)
        return sharding.run_shards(job, shards, "shard_work:write", total_rows=rows, workers=workers)

    return run


@pytest.fixture
def rank(storage: Storage, job: Job, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], Job]:
    """Make this process one of the ranks of a job."""

    def rank(number: int, nodes: int) -> Job:
        spec = storage.get_note(job.key, "spec", JobSpec)
        assert spec is not None
        storage.put_note(job.key, "spec", replace(spec, pod=PodOptions(nodes=nodes)))
        monkeypatch.setenv("RANK", str(number))
        return Job(storage, job.key, 1)

    return rank


def processes(folder: Path, index: int) -> list[str]:
    """The processes that began a shard."""
    path = folder / f"{index}.log"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def results(shards: tuple[Shard, ...] = SHARDS) -> list[dict[str, Any]]:
    return [{"rows": shard.rows, "index": shard.index} for shard in shards]


def steps(lines: list[Line]) -> list[tuple[int | None, int | None]]:
    return [(line.step, line.total) for line in lines if line.event == "report"]


def test_shards_are_done_side_by_side_and_noted(run: Run, folder: Path, job: Job, told: Any) -> None:
    assert results() == run()
    used = {pid for shard in SHARDS for pid in processes(folder, shard.index)}
    assert (2, False) == (len(used), str(os.getpid()) in used)
    assert [f"shards/{i:07}" for i in range(6)] == job.storage.note_names(job.key, "shards")
    progress = steps(told())
    assert ((0, 60), (60, 60)) == (progress[0], progress[-1])


def test_each_process_has_its_share_of_the_cores(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "cores", lambda job: 8)
    run(SHARDS[:2])
    assert ["4", "4"] == (folder / "0.log").read_text().split()[1:]


def test_few_rows_are_done_without_another_process(run: Run, folder: Path, told: Any) -> None:
    assert results() == run(workers=None)
    assert [str(os.getpid())] == processes(folder, 3)
    assert (60, 60) == steps(told())[-1]


def test_few_rows_that_take_long_get_processes_all_the_same(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "LONG_S", 0.0)
    monkeypatch.setattr(sharding, "cores", lambda job: 2)
    assert results() == run(workers=None)
    assert [True] + 5 * [False] == [[str(os.getpid())] == processes(folder, i) for i in range(6)]


def test_shards_of_earlier_attempts_are_not_done_again(run: Run, folder: Path, told: Any) -> None:
    (folder / "fail-3").touch()
    with pytest.raises(ValueError, match="shard 3 is odd"):
        run(workers=1)
    (folder / "fail-3").unlink()
    told()
    assert results() == run(workers=1)
    assert [1, 1, 1, 2, 1, 1] == [len(processes(folder, i)) for i in range(6)]
    lines = told()
    assert ["resumed: 3 of 6 shards were done already"] == [
        line.text for line in lines if line.event == "note"
    ]
    assert (30, 60) == steps(lines)[0]


def test_a_process_that_is_killed_is_replaced_and_its_shard_done_again(
    run: Run, folder: Path, told: Any
) -> None:
    (folder / "kill-2").write_text("2")
    assert results() == run()
    assert 3 == len(set(processes(folder, 2)))
    assert [1, 1, 1, 1, 1] == [len(processes(folder, i)) for i in (0, 1, 3, 4, 5)]
    assert 2 == sum("shard 2 (rows 20 to 30" in line.text for line in told() if line.event == "note")


def test_a_killed_process_is_missed_though_what_it_started_keeps_its_pipe_open(
    run: Run, folder: Path
) -> None:
    (folder / "kill-2").write_text("1")
    (folder / "child-2").touch()
    try:
        assert results() == run()
    finally:
        os.kill(int((folder / "child").read_text()), signal.SIGKILL)
    assert 2 == len(set(processes(folder, 2)))


def test_a_shard_that_is_killed_again_and_again_ends_the_job(run: Run, folder: Path, job: Job) -> None:
    (folder / "kill-0").write_text("9")
    with pytest.raises(InvalidRequest, match=r"shard 0 \(rows 0 to 10 .*3 times.*SIGKILL\): memory may"):
        run()
    assert 3 == len(processes(folder, 0))
    assert "shards/0000001" in job.storage.note_names(job.key, "shards")


def test_an_error_of_the_work_ends_the_job_with_the_users_own_frames(run: Run, folder: Path) -> None:
    (folder / "fail-1").touch()
    with pytest.raises(FailedElsewhere, match="ValueError: shard 1 is odd") as caught:
        run()
    failure = failure_of(caught.value)
    assert ("ValueError", False) == (failure.type, failure.retryable)
    assert "shard_work.py" in failure.traceback
    assert "shard_process.py" not in failure.traceback
    assert failure.traceback == users_traceback(caught.value)


def test_shards_of_another_version_are_not_gone_on_with(run: Run) -> None:
    run(SHARDS, workers=1)
    with pytest.raises(InvalidRequest, match="other shards"):
        run(SHARDS[:3], workers=1)


def test_each_rank_does_its_share_and_the_first_waits_for_all(
    rank: Callable[[int, int], Job], folder: Path, told: Any
) -> None:
    work = "shard_work:write"
    second = rank(1, 2)
    assert [] == sharding.run_shards(second, SHARDS, work, total_rows=60, workers=1)
    assert [0, 1, 0, 1, 0, 1] == [len(processes(folder, i)) for i in range(6)]
    told()
    assert results() == sharding.run_shards(rank(0, 2), SHARDS, work, total_rows=60, workers=1)
    assert [1] * 6 == [len(processes(folder, i)) for i in range(6)]
    assert (60, 60) == steps(told())[-1]


def test_the_first_rank_counts_what_others_do_meanwhile(
    rank: Callable[[int, int], Job],
    folder: Path,
    storage: Storage,
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = rank(0, 2)

    def others_go_on(_seconds: float) -> None:
        number = 1 + 2 * sum(name.endswith(("1", "3", "5")) for name in storage.note_names("job-1", "shards"))
        storage.put_note("job-1", f"shards/{number:07}", {"rows": 10, "index": number})

    monkeypatch.setattr("mltemporal.runtime.sharding.time.sleep", others_go_on)
    assert results() == sharding.run_shards(first, SHARDS, "shard_work:write", total_rows=60, workers=1)
    assert [0, 2, 4] == [i for i in range(6) if processes(folder, i)]
    assert (60, 60) == steps(told())[-1]


class Attempt:
    """A job's process that does the shards by two others."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-c", ATTEMPT, storage.url, encode(list(SHARDS))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)

    def until_begun(self, *indices: int) -> list[int]:
        """Wait until shards have begun, and return the processes that did."""
        while not all(processes(self.folder, i) for i in indices):
            assert self.process.poll() is None
            time.sleep(0.01)
        return [int(processes(self.folder, i)[-1]) for i in indices]

    def end(self) -> tuple[int, list[Line]]:
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, [
            x for part in output.decode().splitlines() if (x := parse_line(part))
        ]


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 30
    while not all(map(gone, pids)):
        assert time.monotonic() < end, pids
        time.sleep(0.01)


def test_processes_end_with_the_jobs_own_and_the_next_attempt_goes_on(
    storage: Storage, job: Job, folder: Path
) -> None:
    (folder / "wait-2").touch()
    (folder / "wait-3").touch()
    attempt = Attempt(storage, folder)
    working = attempt.until_begun(2, 3)
    attempt.process.kill()
    assert -signal.SIGKILL == attempt.end()[0]
    until_gone(working)
    for name in ("wait-2", "wait-3"):
        (folder / name).unlink()
    code, lines = Attempt(storage, folder).end()
    assert (0, (60, 60)) == (code, steps(lines)[-1])
    assert [1, 1, 2, 2, 1, 1] == [len(processes(folder, i)) for i in range(6)]


def test_a_stop_ends_the_processes_and_keeps_what_is_done(storage: Storage, job: Job, folder: Path) -> None:
    (folder / "wait-2").touch()
    (folder / "wait-3").touch()
    attempt = Attempt(storage, folder)
    working = attempt.until_begun(2, 3)
    attempt.process.terminate()
    assert 143 == attempt.end()[0]
    until_gone(working)
    assert [f"shards/{i:07}" for i in range(2)] == storage.note_names(job.key, "shards")


def test_a_shard_process_that_is_stopped_while_it_waits_says_nothing(tmp_path: Path) -> None:
    inherited = {"storage": str(tmp_path), "key": "preprocessing-1", "attempt": 1}
    dataset = DatasetRef(fingerprint="", rows=1, columns=())
    spec = JobSpec(
        key="preprocessing-1", name="x", dataset=dataset, trainer=TrainerRef(kind="steps", label="x")
    )
    Storage(str(tmp_path)).put_note("preprocessing-1", "spec", spec)
    answers, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "mltemporal.runtime.shard_process", "json:dumps", "shards", str(theirs)],
        env={**os.environ, JOB_VARIABLE: json.dumps(inherited)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(theirs,),
    )
    os.close(theirs)
    while len(os.listdir(f"/proc/{process.pid}/task")) < 2:  # its reader waits for an order
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert 128 + signal.SIGTERM == process.wait(60)
    said, _ = process.communicate()
    os.close(answers)
    assert b"" == said
