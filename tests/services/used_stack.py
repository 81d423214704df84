"""A stack of this code that this process uses, and a job that waits half-way until it is let go on."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

import mltemporal
from mltemporal import session, stack
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings


def used_stack(folder: Path, **variables: str) -> Iterator[Settings]:
    """Start a stack, use it, stop it; ``variables`` are further settings."""
    settings = load_settings(
        {"MLTEMPORAL_HOME": str(folder / "home"), "MLTEMPORAL_TEMPORAL": "embedded", **variables}
    )
    try:
        stack.up(settings)
        session.replace(settings)
        yield settings
    finally:
        session.replace(None)
        stack.down(settings)
        for path in settings.home.glob("jobs/*/order.json"):  # where a test failed
            ProcessFolder(path.parent).kill()


def until_released(data: pd.DataFrame, release: str, steps: int) -> int:
    """Report some steps, wait for the file, report the others."""
    import os
    import time

    for step in range(1, steps + 1):
        mltemporal.report(step=step, total=steps, loss=1 / step)
        while step == steps // 2 and not os.path.exists(release):
            time.sleep(0.2)
    return steps
