"""A warm interpreter that forks trainings: pandas and scikit-learn are imported once, not each time.

It runs as ``python -m mltemporal.launchers.forkserver`` under the interpreter of the kernel whose
jobs it starts, as a child of the worker. It reads the folders of processes from standard input,
a line each, and forks a keeper for each (see `keeper`), which then belongs to nobody. It ends
when the worker does, be it while it imports, when it was idle for long, and when a package was
installed meanwhile: a job must never see other packages than a new interpreter would.
"""

from __future__ import annotations

import atexit
import gc
import os
import random
import select
import sys
import threading
from typing import Any, NoReturn

from mltemporal.launchers import keeper
from mltemporal.runtime import parent

_IDLE_S = 900.0
_PRELOADED = (
    "cloudpickle",
    "email.parser",  # with which package metadata is read
    "importlib.metadata",
    "pandas",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "sklearn.pipeline",
    "skops.io",
    "mltemporal.code.capturing",
    "mltemporal.code.restoring",
    "mltemporal.dataset.loading",
    "mltemporal.dataset.validating",
    "mltemporal.encoder",
    "mltemporal.model_files",
    "mltemporal.runtime.main",
    "mltemporal.runtime.evaluation",
    "mltemporal.runtime.trainers.baseline",
    "mltemporal.runtime.trainers.estimator",
    "mltemporal.runtime.trainers.function",
    "mltemporal.runtime.trainers.script",
)


def serve() -> dict[str, Any] | None:
    """Fork for each folder read; returns in each new training its order, and None at the end."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # the first training goes first
    for name in _PRELOADED:
        __import__(name)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    gc.freeze()  # what is shared stays shared: the collector will not touch it
    installed = _installed()
    os.write(1, b"ready\n")
    waiting = b""
    while select.select([0], [], [], _IDLE_S)[0]:
        read = os.read(0, 1 << 16)
        *folders, waiting = (waiting + read).split(b"\n")
        if not read or _installed() != installed:
            return None
        for folder in folders:
            order = _fork(folder.decode())
            if order is not None:
                return order
    return None


def _fork(folder: str) -> dict[str, Any] | None:
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return None
    os.setsid()
    if os.fork():
        os._exit(0)  # so that the keeper is nobody's child
    order = keeper.keep(folder)
    if order is None:
        os._exit(0)
    return order


def _installed() -> list[float]:
    """When packages were last installed or removed, as far as directories tell."""
    return [os.stat(path).st_mtime for path in sys.path if os.path.isdir(path)]


def _become(order: dict[str, Any]) -> list[str]:
    """Make this process what a new interpreter would be; returns the runtime's arguments."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    os.umask(order.get("umask", 0o022))
    if not sys.flags.safe_path:
        sys.path[0] = order["cwd"]
    sys.argv = order["argv"][2:]
    random.seed()
    import numpy as np

    np.random.seed()  # forks would all draw the same numbers
    arguments: list[str] = order["argv"][3:]
    return arguments


def main() -> int:
    """Serve; in each forked training, run it and return its exit code."""
    parent.end_with_parent()
    order = serve()
    if order is None:
        return 0
    from mltemporal.runtime.main import main as run

    return _end(run(_become(order)))


def _end(code: int) -> NoReturn:
    """Leave as an interpreter does, but do not take all modules apart: that outlasts many a job."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  (waits for threads)
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
