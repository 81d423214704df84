"""A job's views, as a watch gives them."""

import atexit
import math

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from mltemporal.specs.running import JobStatus
from mltemporal.views import JobView, Point

START = 1_800_000_000.0


@pytest.fixture
def view_of():
    """Returns a function that makes a view; points are given as (attempt, step, metrics)."""

    def make(status=JobStatus.RUNNING, points=(), **fields):
        defaults = {
            "id": 7,
            "name": "churn",
            "kind": "training",
            "trainer": "fit",
            "created_at": START,
            "started_at": START,
        }
        made = tuple(
            Point(attempt=attempt, time=START + index, step=step, total=10, metrics=metrics)
            for index, (attempt, step, metrics) in enumerate(points)
        )
        return JobView(status=status, points=made, **{**defaults, **fields})

    return make


@pytest.fixture
def falling():
    """Returns the points of a loss that falls, step by step, in attempt 1."""
    return [(1, step, {"train_loss": math.exp(-step)}) for step in range(5)]


@pytest.fixture
def plain_shell():
    """A real IPython shell without a history file."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    yield shell
    shell.atexit_operations()
    atexit.unregister(shell.atexit_operations)
