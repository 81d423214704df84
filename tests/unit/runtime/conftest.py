"""Jobs in a directory, and runs of them as real processes."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cloudpickle
import pandas as pd
import pytest

from mltemporal.code.versions import versions_for
from mltemporal.progress import Line, parse_line
from mltemporal.runtime import artifacts, checkpoint, context, control, curve, loops, reporting
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.specs.data import Column, DatasetRef, ObjectRef
from mltemporal.specs.encoding import encode
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.results import RunFailure, RunOutput
from mltemporal.storage.content import Storage

KEY = "job-1"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture(autouse=True)
def outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts as a process that has told and kept nothing yet."""
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    monkeypatch.setattr(context, "_job", None)
    for name in ("_current", "_output"):
        monkeypatch.setattr(reporting, name, None)
    for module, name, value in (
        (loops, "_current", None),
        (loops, "_loaded", None),
        (loops, "_begun", 0),
        (control, "_listener", None),
        (control, "_saver", None),
        (curve, "_current", None),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(reporting, "_notes", [])
    monkeypatch.setattr(checkpoint, "_in_memory", None)
    monkeypatch.setattr(checkpoint, "_told", False)
    monkeypatch.setattr(artifacts, "_unnamed", Counter())
    monkeypatch.setattr(artifacts, "_told", {})


@pytest.fixture
def job(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Job:
    """The job of this process, with a baseline to train."""
    storage.put_note(
        KEY,
        "spec",
        spec_of(storage, pd.DataFrame({"x": [1], "y": [2]}), TrainerRef(kind="baseline", label="")),
    )
    monkeypatch.setenv(JOB_VARIABLE, "")  # so that what `enter` sets is taken back
    job = Job(storage, KEY, 1)
    context.enter(job)
    return job


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[Line]]:
    """Return the progress lines on standard output since the last call."""
    return lambda: lines_in(capfd.readouterr().out)


@pytest.fixture
def read_lines() -> Callable[[str], list[Line]]:
    """Return the progress lines in a text."""
    return lines_in


def lines_in(text: str) -> list[Line]:
    return [line for part in text.splitlines() if (line := parse_line(part))]


def stored(storage: Storage, frame: pd.DataFrame) -> DatasetRef:
    with storage.writing(format="parquet") as written:
        frame.to_parquet(written.path)
    columns = tuple(Column(name=name, type=str(frame[name].dtype)) for name in frame.columns)
    return DatasetRef(fingerprint=written.ref.sha256, rows=len(frame), columns=columns, object=written.ref)


def spec_of(storage: Storage, frame: pd.DataFrame, trainer: TrainerRef, **fields: object) -> JobSpec:
    return JobSpec(key=KEY, name="test", dataset=stored(storage, frame), trainer=trainer, **fields)  # type: ignore[arg-type]


@dataclass
class Run:
    """What one attempt left behind."""

    exit_code: int
    log: str
    output: RunOutput | None
    failure: RunFailure | None

    @cached_property
    def lines(self) -> list[Line]:
        return lines_in(self.log)

    @property
    def stages(self) -> list[str]:
        return [line.text for line in self.lines if line.event == "stage"]

    @property
    def steps(self) -> list[int | None]:
        return [line.step for line in self.lines if line.event == "report"]

    def artifacts(self) -> dict[str, ObjectRef]:
        return {line.name: line.object for line in self.lines if line.event == "artifact" and line.object}


class Runner:
    """Runs attempts at one job, as a launcher does."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.storage = storage
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._attempt = 0

    def ask(self, frame: pd.DataFrame, trainer: TrainerRef, **fields: object) -> None:
        self.storage.put_note(KEY, "spec", spec_of(self.storage, frame, trainer, **fields))

    def code(self, kind: str, value: object) -> TrainerRef:
        if kind == "baseline":
            data = encode(value).encode()
        elif kind == "script":
            data = str(value).encode()
        else:
            data = cloudpickle.dumps(value)
        versions = {} if kind == "script" else versions_for(data)
        path = str(self._folder / "script.py") if kind == "script" else None
        return TrainerRef(
            kind=kind, label=kind, code=self.storage.put_bytes(data), path=path, versions=versions
        )

    def start(self, attempt: int = 1) -> "subprocess.Popen[bytes]":
        self._attempt = attempt
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mltemporal.runtime", self.storage.url, KEY, str(attempt)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},  # test runs share their cores
            )
        return self._process

    @property
    def log(self) -> Path:
        return self._folder / f"{self._attempt}.log"

    def wait_for(self, seen: Callable[[Run], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not seen(self._run(-1)):
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def finish(self) -> Run:
        assert self._process is not None
        return self._run(self._process.wait(timeout=100))

    def run(self, frame: pd.DataFrame, trainer: TrainerRef, **fields: object) -> Run:
        self.ask(frame, trainer, **fields)
        self.start()
        return self.finish()

    def _run(self, exit_code: int) -> Run:
        return Run(
            exit_code=exit_code,
            log=self.log.read_text(),
            output=self.storage.get_note(KEY, f"{self._attempt}/output", RunOutput),
            failure=self.storage.get_note(KEY, f"{self._attempt}/failure", RunFailure),
        )


@pytest.fixture
def runner(storage: Storage, tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(storage, tmp_path)
    yield runner
    if runner._process is not None and runner._process.poll() is None:
        runner._process.kill()
        runner._process.wait()
