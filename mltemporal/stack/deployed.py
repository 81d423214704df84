"""Workers of other builds beside the stack's own, started by ``mltemporal versions deploy``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from mltemporal.errors import StackError
from mltemporal.settings import Settings
from mltemporal.specs.encoding import decode, encode
from mltemporal.stack.home import StackFiles
from mltemporal.stack.logs import tail
from mltemporal.stack.process import ProcessId

_GRACE_S = 8.0


def deployed(files: StackFiles) -> dict[str, ProcessId]:
    """Return the workers that run, by the build of their code."""
    found = {path.stem: _process(path) for path in files.deployed.glob("*.json")}
    return {build: process for build, process in found.items() if process is not None and process.alive}


def start(settings: Settings, build: str) -> ProcessId:
    """Start a detached worker of this process's code. Idempotent: one that runs is returned.

    Raises:
        StackError: it ended at once.
    """
    files = StackFiles(settings.home)
    if running := deployed(files).get(build):
        return running
    files.deployed.mkdir(mode=0o700, exist_ok=True)
    log = files.log(f"worker-{build}")
    with open(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "mltemporal.worker", "--shared-only"],
            env={**os.environ, **settings.environ(), "PYTHONUNBUFFERED": "1"},
            cwd=settings.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
        )
    process = ProcessId.of(child.pid)
    if process is None:
        raise StackError(f"the worker ended at once: {tail(log, 5)}", f"look into {str(log)!r}")
    path = files.deployed / f"{build}.json"
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(encode(process))
    new.replace(path)
    return process


def stop(files: StackFiles, build: str) -> bool:
    """End the worker of a build; returns whether there was one. Its jobs' processes go on. Idempotent."""
    path = files.deployed / f"{build}.json"
    process = _process(path)
    was_alive = process is not None and process.alive
    if process is not None:
        process.stop(_GRACE_S)
    path.unlink(missing_ok=True)
    return was_alive


def stop_all(files: StackFiles) -> None:
    """End every worker that was deployed from this home. Idempotent."""
    for path in files.deployed.glob("*.json"):
        stop(files, path.stem)


def _process(path: Path) -> ProcessId | None:
    try:
        return decode(path.read_bytes(), ProcessId)
    except (OSError, msgspec.DecodeError):
        return None
