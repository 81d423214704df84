"""Processes in folders, ended with the test."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mltemporal.launchers.folder import ProcessFolder


def until(reached: Callable[[], Any], within_s: float = 30) -> Any:
    """Wait until ``reached()`` is true, and return what it gave."""
    deadline = time.monotonic() + within_s
    while not (found := reached()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., ProcessFolder]]:
    """Make a folder whose order runs a Python program."""
    made: list[ProcessFolder] = []

    def make(program: str = "pass", **order: Any) -> ProcessFolder:
        folder = ProcessFolder(tmp_path / "jobs" / f"training-{len(made)}-1")
        argv = [sys.executable, "-c", program]
        folder.place({"argv": argv, "cwd": str(tmp_path), "env": dict(os.environ), **order})
        made.append(folder)
        return folder

    yield make
    for folder in made:
        folder.kill()
