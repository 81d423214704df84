"""Services of the benchmark's own, in a home that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

import mltemporal
from mltemporal import session


@contextmanager
def own_stack(settings: Mapping[str, str] | None = None) -> Iterator[session.Session]:
    """Bring up a stack in a temporary home, with a worker that is ready; leave nothing behind.

    ``settings`` are further variables of its environment.
    """
    environ = dict(os.environ)
    for name in [name for name in environ if name.startswith(("MLTEMPORAL_", "TEMPORAL_"))]:
        del os.environ[name]
    os.environ |= {"MLTEMPORAL_TEMPORAL": "embedded", **(settings or {})}
    with tempfile.TemporaryDirectory(prefix="mltemporal-benchmark-", ignore_cleanup_errors=True) as home:
        try:
            mltemporal.connect(home=home)
            _wait_for(lambda: bool(mltemporal.status().workers), "a worker")
            yield session.current()
        finally:
            mltemporal.shutdown()
            _wait_for(lambda: not _processes_of(home), "the end of every process of ours")
            os.environ.clear()
            os.environ.update(environ)


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited 30 s for {what}")
        time.sleep(0.05)


def _processes_of(home: str) -> list[int]:
    """Return the processes that were started for the home, or by a job of it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and home in (*process.cmdline(), *process.environ().values()):
                found.append(process.pid)
        except psutil.Error:
            continue  # it has just ended, or belongs to somebody else
    return found
