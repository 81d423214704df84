"""Where a fault run happens: a home with a running stack, its kernels, and what of it can be hit.

What differs between a laptop and a team's services is in `laptop` and `team`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

from mltemporal import session, stack
from mltemporal.settings import load_settings
from mltemporal.stack import StackState
from mltemporal.stack.process import ProcessId

from .kernels import HERE, Kernels

if TYPE_CHECKING:
    from .harm import Fault

LIVE = 4
"""So many jobs run at once, about."""
DISK_MB = 1024


class Attempt(Protocol):
    """An attempt of a job that is alive: one process, of several where it has ranks."""

    @property
    def key(self) -> str:
        """The job's key."""
        ...

    @property
    def name(self) -> str:
        """What the process is called."""
        ...

    @property
    def place(self) -> tuple[str, str]:
        """Number and rank: of each there may be one at a time, of numbers too."""
        ...

    @property
    def training(self) -> ProcessId:
        """The process."""
        ...


class World:
    """The home of a run, on a disk of its own where that is possible.

    Args:
        folder: of the run.
        settings: of everything but the home, as variables.
        environ: what the processes of the run find beside the settings.
    """

    name: str
    """What it is asked for by."""
    title: str
    """What it is called in a report."""
    faults: Mapping[str, tuple[Fault, int]]
    """Each kind of fault, and how often it comes."""
    parent: str | None = None
    """The folder in which a run's folder is; None takes the system's for temporary files."""
    pace = 1.0
    """How many times as far apart its faults are: where jobs take longer, they are further apart."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], environ: Mapping[str, str], *, kernels: int = 3
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.disks = [self.home]
        self.mounted: list[Path] = []
        self.healed = threading.Event()
        """Set when the last fault is over: what still lasts ends at once."""
        for name in ("witness", "told", "clock", "repaired"):
            (folder / name).mkdir()
        for name in ("permits", "refusals", "surprises"):
            (folder / name).touch()
        shutil.copy(HERE / "clock.py", folder / "clock" / "sitecustomize.py")
        self.settings = load_settings(
            {"MLTEMPORAL_HOME": str(self.home), "MLTEMPORAL_TEMPORAL": "embedded", **settings}
        )
        path = [str(folder / "clock"), str(HERE.parent), str(HERE.parent.parent)]
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLTEMPORAL_")},
            **self.settings.environ(),
            **environ,
            "PYTHONPATH": os.pathsep.join(path),
            "FAULTS_CLOCK": str(folder / "clock-of-workers"),
            "FAULTS_RUN": str(folder),
        }
        self.kernels = Kernels(folder, kernels, self.environ)

    def open(self) -> None:
        """Mount the disks and start the stack."""
        for path in self.disks:
            path.mkdir()
            if os.getuid() == 0 and _mount(path):
                self.mounted.append(path)
        session.replace(self.settings)
        self.up()

    def up(self) -> None:
        """Start the stack, or find it, with the environment of the run."""
        before = dict(os.environ)
        os.environ.update(self.environ)
        try:
            stack.up(self.settings)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def recover(self) -> None:
        """Take back what was still to go wrong, when the faults are over."""

    def close(self) -> list[str]:
        """End everything that is ours; returns what had to be ended by force."""
        self.kernels.stop()
        session.replace(None)
        stack.down(self.settings)
        left = [f"{process.pid}: {' '.join(process.cmdline())[:200]}" for process in self.processes()]
        for process in self.processes():
            process.kill()
        return left

    def give_back(self) -> None:
        """Give the disks back."""
        for path in self.mounted:
            subprocess.run(["umount", "--lazy", path], check=True)

    # What is looked at in the end

    @property
    def backends(self) -> tuple[str, ...]:
        """Where its jobs run."""
        return ("local",)

    @property
    def left_out(self) -> list[str]:
        """Which faults cannot be tried here."""
        return []

    @property
    def logs(self) -> list[Path]:
        """What explains a breach: files and folders on what is about to go."""
        return [*(self.home / "stack").glob("*.log*"), *self.home.glob("mltemporal.db*"), self.home / "jobs"]

    def files_left(self) -> list[str]:
        """Return what no job that has ended needs."""
        found = [
            *self.home.glob("launch/*"),
            *(path for path in self.home.glob("jobs/*") if path.name != ".admission"),
            *(path for disk in self.disks for path in disk.rglob("*.new")),
            *(disk / "ballast" for disk in self.disks if (disk / "ballast").exists()),
        ]
        return sorted({str(path.relative_to(self.folder)) for path in found})

    def locks_left(self) -> list[str]:
        """Return what is wrong with the database now that nobody uses it."""
        raise NotImplementedError

    def kubernetes_left(self) -> list[str]:
        """Return the objects that no job which has ended needs."""
        return []

    # What can be hit

    def trainings(self) -> list[Attempt]:
        """The processes of attempts that are alive."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether there is enough going on for a fault to come."""
        return True

    @property
    def state(self) -> StackState | None:
        """The running stack."""
        return stack.state(self.settings)

    def service(self, name: str) -> list[ProcessId]:
        """The process of a service, if it runs."""
        running = self.state
        service = running.services.get(name) if running else None
        return [service.process] if service and service.process and service.process.alive else []

    def processes(self) -> list[psutil.Process]:
        """Every process that was told of this home, but this one and its kernels."""
        mine = {os.getpid(), *(child.pid for child in self.kernels.running.values())}
        return [process for process in _of_run(self.folder) if process.pid not in mine]


def shards_of(training: ProcessId) -> list[ProcessId]:
    """Return the processes that work on an attempt's shards."""
    try:
        children = psutil.Process(training.pid).children()
        found = [
            ProcessId.of(child.pid)
            for child in children
            if "mltemporal.runtime.shard_process" in child.cmdline()
        ]
    except psutil.Error:  # it has just ended
        return []
    return [process for process in found if process is not None]


def _of_run(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            concerned = environ.get("FAULTS_RUN") == str(folder) or str(folder) in " ".join(process.cmdline())
            if concerned and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


def _mount(path: Path) -> bool:
    """Give the folder a small disk of its own; returns whether that worked."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
