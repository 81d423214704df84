"""Other ways to run a job, each in a virtual environment and a home directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "peer_scripts"

NO_TELEMETRY = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to run a trivial job from a process that lives on, as a notebook's kernel does."""

    name: str
    requirements: tuple[str, ...]
    """The first is the package whose version is shown."""
    script: tuple[str, ...]
    """A program of `SCRIPTS` and its arguments; it prints a JSON list of seconds, one a repetition."""
    keeps_record: bool
    """Whether past runs and how they ended can be listed afterwards."""
    when_the_caller_dies: str
    """What becomes of a running job after ``kill -9`` of its starter (tried: Metaflow, submitit)."""


METAFLOW = ("metaflow>=2.19",)
PREFECT = ("prefect>=3.8,<4", "fastapi<0.140")  # Prefect 3.8 does not start with a newer FastAPI

PEERS = (
    Peer(
        name="Metaflow, one step",
        requirements=METAFLOW,
        script=("run_metaflow.py", str(SCRIPTS / "metaflow_one_step.py")),
        keeps_record=True,
        when_the_caller_dies="the run breaks off after the step",
    ),
    Peer(
        name="Metaflow, four steps",
        requirements=METAFLOW,
        script=("run_metaflow.py", str(SCRIPTS / "metaflow_four_steps.py")),
        keeps_record=True,
        when_the_caller_dies="the run breaks off after the step",
    ),
    Peer(
        name="Prefect, one task",
        requirements=PREFECT,
        script=("run_prefect.py",),
        keeps_record=True,
        when_the_caller_dies="it dies too: it runs inside the caller",
    ),
    Peer(
        name="submitit, local",
        requirements=("submitit>=1.5",),
        script=("run_submitit.py",),
        keeps_record=False,
        when_the_caller_dies="it goes on",
    ),
)


def measure(peer: Peer, cache: Path, repetitions: int) -> list[float]:
    """Return the seconds of each run, the first (which may start a server, or fill caches) included."""
    python = installed(peer, cache)
    with tempfile.TemporaryDirectory(prefix="mltemporal-peer-", ignore_cleanup_errors=True) as home:
        program, *arguments = peer.script
        done = subprocess.run(
            [python, str(SCRIPTS / program), *arguments, str(repetitions)],
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": home, "USER": "benchmark", **NO_TELEMETRY},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{peer.name} failed:\n{done.stderr[-3000:]}")
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def installed(peer: Peer, cache: Path) -> Path:
    """Return the interpreter of the peer's environment; makes it where it is not there yet."""
    package = peer.requirements[0].partition(">")[0]
    folder, mark = cache / package, cache / package / "requirements.txt"
    python = folder / "bin" / "python"
    wanted = "\n".join(peer.requirements)
    if not mark.exists() or mark.read_text() != wanted:
        print(f"  installing {package} into {folder} …", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *peer.requirements], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{package} cannot be installed:\n{done.stderr[-3000:]}")
        mark.write_text(wanted)  # last, so that a half-made environment is made again
    return python


def version(peer: Peer, cache: Path) -> str:
    """Return the version of the peer in its environment."""
    package = peer.requirements[0].partition(">")[0]
    ask = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return _output([installed(peer, cache), "-c", ask]).strip()


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def temporal_worker(address: str, task_queue: str) -> Iterator[None]:
    """Run a worker for the workflow of four empty activities, in a process of its own."""
    command = [sys.executable, str(SCRIPTS / "temporal_worker.py"), address, task_queue]
    with subprocess.Popen(command, stdin=subprocess.PIPE):  # it ends when its input closes, with the block
        yield
