"""Where a fault run happens: a home with a running stack, its disks, and what of it can be hit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mltemporal import session, stack
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings
from mltemporal.stack import StackState
from mltemporal.stack.process import ProcessId

HERE = Path(__file__).parent
LIVE = 4
"""So many local jobs run at once."""
DISK_MB = 1024
MOST_DEATHS = 20


@dataclass(frozen=True, kw_only=True)
class Training:
    """The process of one attempt, as its folder tells."""

    folder: ProcessFolder
    keeper: ProcessId
    training: ProcessId

    @property
    def key(self) -> str:
        """The job's key."""
        return self.folder.name.rpartition("-")[0]

    def shards(self) -> list[ProcessId]:
        """The processes that work on its shards."""
        try:
            children = psutil.Process(self.training.pid).children()
            found = [
                ProcessId.of(child.pid)
                for child in children
                if "mltemporal.runtime.shard_process" in child.cmdline()
            ]
        except psutil.Error:  # it has just ended
            return []
        return [process for process in found if process is not None]


@dataclass
class Kernels:
    """The kernels of a run: python processes, each started again until its share is done."""

    folder: Path
    number: int
    environ: dict[str, str]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    """Of kernels that died though nobody had killed them."""
    shot: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)

    def tend(self) -> bool:
        """Start what does not run; returns whether all have done their share."""
        for number in range(self.number):
            child = self.running.get(number)
            if child is not None and child.poll() is None:
                continue
            if child is not None and child.returncode == 0:
                self.done.add(number)
            elif child is not None and child.pid not in self.shot:
                self.deaths.append(f"kernel {number} ended by itself with {child.returncode}")
                if len(self.deaths) > MOST_DEATHS:
                    raise RuntimeError(f"kernels end by themselves again and again: see {self.folder}")
            if number in self.done:
                continue
            with (self.folder / f"kernel-{number}.log").open("ab") as log:
                self.running[number] = subprocess.Popen(
                    [
                        sys.executable,
                        "-X",
                        "faulthandler",
                        "-m",
                        "faults.driver",
                        str(self.folder),
                        str(number),
                        str(self.number),
                    ],
                    cwd=HERE.parent,
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        return len(self.done) == self.number

    def alive(self) -> list[ProcessId]:
        """Those that run."""
        found = [ProcessId.of(child.pid) for child in self.running.values() if child.poll() is None]
        return [process for process in found if process is not None]

    def stop(self) -> None:
        """End them all."""
        for child in self.running.values():
            if child.poll() is None:
                child.kill()
            child.wait()


class World:
    """The home of a run, on disks of its own where that is possible.

    Args:
        folder: of the run; what is on the disks is in ``home`` and ``storage`` below it.
    """

    def __init__(self, folder: Path, *, kernels: int = 3) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.store = folder / "storage"
        self.mounted: list[Path] = []
        self.healed = threading.Event()
        """Set when the last fault is over: what still lasts ends at once."""
        for name in ("witness", "told", "clock", "repaired"):
            (folder / name).mkdir()
        for name in ("permits", "refusals", "surprises"):
            (folder / name).touch()
        shutil.copy(HERE / "clock.py", folder / "clock" / "sitecustomize.py")
        self.settings: Settings = load_settings(
            {
                "MLTEMPORAL_HOME": str(self.home),
                "MLTEMPORAL_STORAGE_URL": str(self.store),
                "MLTEMPORAL_DATABASE_URL": f"sqlite:///{self.home}/mltemporal.db",
                "MLTEMPORAL_TEMPORAL": "embedded",
                "MLTEMPORAL_MAX_LOCAL_JOBS": str(LIVE),
            }
        )
        path = [str(folder / "clock"), str(HERE.parent), str(HERE.parent.parent)]
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLTEMPORAL_")},
            **self.settings.environ(),
            "PYTHONPATH": os.pathsep.join(path),
            "FAULTS_CLOCK": str(folder / "clock-of-workers"),
            "FAULTS_RUN": str(folder),
        }
        self.kernels = Kernels(folder, kernels, self.environ)

    def open(self) -> None:
        """Mount the disks and start the stack."""
        for path in (self.home, self.store):
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

    def close(self) -> list[str]:
        """End everything; returns what had to be ended by force."""
        self.kernels.stop()
        session.replace(None)
        stack.down(self.settings)
        left = [f"{process.pid}: {' '.join(process.cmdline())[:200]}" for process in self.processes()]
        for process in self.processes():
            process.kill()
        return left

    def unmount(self) -> None:
        """Give the disks back."""
        for path in self.mounted:
            subprocess.run(["umount", "--lazy", path], check=True)

    # What can be hit

    @property
    def state(self) -> StackState | None:
        """The running stack."""
        return stack.state(self.settings)

    def service(self, name: str) -> list[ProcessId]:
        """The process of a service, if it runs."""
        running = self.state
        service = running.services.get(name) if running else None
        return [service.process] if service and service.process and service.process.alive else []

    def trainings(self) -> list[Training]:
        """The processes of attempts that are alive."""
        found = []
        for path in sorted((self.home / "jobs").glob("*/process.json")):
            try:
                told = json.loads(path.read_bytes())
            except (OSError, json.JSONDecodeError):  # it was deleted in this moment
                continue
            keeper, training = ProcessId(*told["keeper"]), ProcessId(*told["training"])
            if training.alive:
                found.append(Training(folder=ProcessFolder(path.parent), keeper=keeper, training=training))
        return found

    def warm(self) -> list[ProcessId]:
        """The worker's warm interpreters."""
        found = []
        for worker in self.service("worker"):
            try:
                children = psutil.Process(worker.pid).children()
                found += [c.pid for c in children if "mltemporal.launchers.forkserver" in c.cmdline()]
            except psutil.Error:
                continue
        return [process for pid in found if (process := ProcessId.of(pid)) is not None]

    def processes(self) -> list[psutil.Process]:
        """Every process that was told of this home, but this one and its kernels."""
        mine = {os.getpid(), *(child.pid for child in self.kernels.running.values())}
        return [process for process in _of_run(self.folder) if process.pid not in mine]


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
