"""What goes wrong: one small class a kind of fault.

Each picks its victim by the number that the schedule drew, does its harm, and takes it back where it lasts.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from mltemporal.stack.process import ProcessId

from .world import Training, World

T = TypeVar("T")


class Fault(Protocol):
    """One kind of fault."""

    def strike(self, world: World, rng: random.Random) -> str:
        """Do it, and return what was hit when it is over; empty where there was nothing to hit."""
        ...


def _one(found: Sequence[T], rng: random.Random) -> T | None:
    return rng.choice(found) if found else None


class KillWorker:
    """SIGKILL to the worker; the supervisor starts another."""

    def strike(self, world: World, rng: random.Random) -> str:
        return _killed(_one(world.service("worker"), rng))


class KillServer:
    """SIGKILL to the Temporal server."""

    def strike(self, world: World, rng: random.Random) -> str:
        return _killed(_one(world.service("temporal"), rng))


class KillSupervisor:
    """SIGKILL to the supervisor; the next one who needs the stack starts another."""

    def strike(self, world: World, rng: random.Random) -> str:
        running = world.state
        return _killed(running.supervisor if running else None)


class KillStack:
    """SIGKILL to supervisor, server and worker at once, as when the machine's memory runs out."""

    def strike(self, world: World, rng: random.Random) -> str:
        running = world.state
        if running is None:
            return ""
        services = [service.process for service in running.services.values()]
        return " ".join(_killed(each) for each in (running.supervisor, *services) if each)


class KillTraining:
    """SIGKILL to the process of an attempt."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = _one(world.trainings(), rng)
        return _killed(chosen.training if chosen else None)


class KillKeeper:
    """SIGKILL to the process that would write down how an attempt ends."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = _one([each for each in world.trainings() if each.keeper.alive], rng)
        return _killed(chosen.keeper if chosen else None)


class KillGroup:
    """SIGKILL to an attempt's whole process group and its keeper."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = _one(world.trainings(), rng)
        if chosen is None:
            return ""
        _killed(chosen.keeper)
        _signal_group(chosen, signal.SIGKILL)
        return chosen.folder.name


class KillWarm:
    """SIGKILL to a warm interpreter, perhaps while it forks."""

    def strike(self, world: World, rng: random.Random) -> str:
        return _killed(_one(world.warm(), rng))


@dataclass
class KillShard:
    """SIGKILL to a process that works on shards; once an attempt, as each shard has few tries."""

    hit: set[str] = field(default_factory=set)

    def strike(self, world: World, rng: random.Random) -> str:
        found = [(each, each.shards()) for each in world.trainings() if each.folder.name not in self.hit]
        chosen = _one([(each, shards) for each, shards in found if shards], rng)
        if chosen is None:
            return ""
        self.hit.add(chosen[0].folder.name)
        return _killed(_one(chosen[1], rng))


class KillKernel:
    """SIGKILL to a kernel; another takes its place."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = _one(world.kernels.alive(), rng)
        if chosen is not None:
            world.kernels.shot.add(chosen.pid)
        return _killed(chosen)


class StopWorker:
    """SIGSTOP to the worker for a while, longer than its silence is borne at times."""

    def strike(self, world: World, rng: random.Random) -> str:
        return _stopped(world, _one(world.service("worker"), rng), _while(rng))


class StopServer:
    """SIGSTOP to the Temporal server for a while."""

    def strike(self, world: World, rng: random.Random) -> str:
        return _stopped(world, _one(world.service("temporal"), rng), _while(rng))


class StopTraining:
    """SIGSTOP to an attempt's process group for a while."""

    def strike(self, world: World, rng: random.Random) -> str:
        for_s = _while(rng)
        chosen = _one(world.trainings(), rng)
        if chosen is None:
            return ""
        _signal_group(chosen, signal.SIGSTOP)
        world.healed.wait(for_s)
        _signal_group(chosen, signal.SIGCONT)
        return f"{chosen.folder.name} for {for_s:.1f} s"


@dataclass(frozen=True)
class FullDisk:
    """A file that takes all that is left on a disk, for some seconds."""

    disk: str
    """``home`` or ``storage``."""

    def strike(self, world: World, rng: random.Random) -> str:
        for_s = rng.uniform(0.5, 8.0)
        path = world.folder / self.disk
        if path not in world.mounted:
            return ""
        with suppress(Taken), _alone(path):
            self._hold(path / "ballast", world, for_s)
            return f"{self.disk} for {for_s:.1f} s"
        return ""

    def _hold(self, ballast: Path, world: World, for_s: float) -> None:
        with ballast.open("wb") as file:
            _fill(file.fileno())
            deadline = time.monotonic() + for_s
            while time.monotonic() < deadline and not world.healed.wait(0.05):
                _fill(file.fileno())  # what others give back is taken too
        ballast.unlink()


class StorageAway:
    """The storage's disk can only be read for some seconds, as after an error of the device."""

    def strike(self, world: World, rng: random.Random) -> str:
        for_s = rng.uniform(0.5, 10.0)
        if world.store not in world.mounted:
            return ""
        with suppress(Taken), _alone(world.store):
            for _ in range(100):  # a file that is just being written is in the way
                if _remounted(world.store, "ro"):
                    world.healed.wait(for_s)
                    assert _remounted(world.store, "rw")
                    return f"for {for_s:.1f} s"
                time.sleep(0.02)
        return ""


class DatabaseAway:
    """Somebody holds the database for some seconds, at times longer than it is waited for."""

    def strike(self, world: World, rng: random.Random) -> str:
        for_s = rng.choice((rng.uniform(0.5, 6.0), rng.uniform(6.0, 25.0)))
        held = sqlite3.connect(world.home / "mltemporal.db", timeout=30, isolation_level=None)
        try:
            held.execute("BEGIN EXCLUSIVE")
            world.healed.wait(for_s)
            held.execute("ROLLBACK")
        except sqlite3.OperationalError as error:  # it could not be had, or its disk is full
            return "" if "locked" in str(error) or "full" in str(error) else f"{error}"
        finally:
            held.close()
        return f"for {for_s:.1f} s"


@dataclass(frozen=True)
class ClockJumps:
    """The time of day jumps by minutes or hours, back or on, and comes back some seconds later."""

    whose: str
    """``workers`` (and kernels) or ``jobs``."""

    def strike(self, world: World, rng: random.Random) -> str:
        by_s = rng.choice((-1, 1)) * rng.choice((90, 1_800, 7_300, 90_000))
        for_s = rng.uniform(1.0, 12.0)
        _set(world.folder / f"clock-of-{self.whose}", by_s)
        world.healed.wait(for_s)
        _set(world.folder / f"clock-of-{self.whose}", 0)
        return f"{self.whose} by {by_s} s for {for_s:.1f} s"


FAULTS: dict[str, tuple[Fault, int]] = {
    "worker killed": (KillWorker(), 10),
    "server killed": (KillServer(), 8),
    "supervisor killed": (KillSupervisor(), 4),
    "whole stack killed": (KillStack(), 2),
    "training killed": (KillTraining(), 18),
    "keeper killed": (KillKeeper(), 7),
    "keeper and group killed": (KillGroup(), 7),
    "warm interpreter killed": (KillWarm(), 3),
    "shard process killed": (KillShard(), 7),
    "kernel killed": (KillKernel(), 9),
    "worker stopped": (StopWorker(), 4),
    "server stopped": (StopServer(), 3),
    "training stopped": (StopTraining(), 5),
    "home's disk full": (FullDisk("home"), 2),
    "storage's disk full": (FullDisk("storage"), 3),
    "storage away": (StorageAway(), 3),
    "database held": (DatabaseAway(), 3),
    "workers' clock jumped": (ClockJumps("workers"), 2),
    "jobs' clock jumped": (ClockJumps("jobs"), 2),
}
"""Each kind of fault, and how often it comes."""


class Taken(Exception):
    """Something is wrong with that disk already."""


@contextmanager
def _alone(disk: Path) -> Iterator[None]:
    """Let one fault at a time have a disk."""
    lock = _DISKS.setdefault(disk, threading.Lock())
    if not lock.acquire(blocking=False):
        raise Taken
    try:
        yield
    finally:
        lock.release()


_DISKS: dict[Path, threading.Lock] = {}


def _while(rng: random.Random) -> float:
    return rng.choice((rng.uniform(0.1, 3.0), rng.uniform(3.0, 15.0)))


def _killed(process: ProcessId | None) -> str:
    if process is None or not process.alive:
        return ""
    process.send(signal.SIGKILL)
    return str(process.pid)


def _stopped(world: World, process: ProcessId | None, for_s: float) -> str:
    if process is None or not process.alive:
        return ""
    process.send(signal.SIGSTOP)
    world.healed.wait(for_s)
    process.send(signal.SIGCONT)
    return f"{process.pid} for {for_s:.1f} s"


def _signal_group(chosen: Training, number: signal.Signals) -> None:
    if chosen.training.alive:
        try:
            os.killpg(chosen.training.pid, number)
        except ProcessLookupError:
            return


def _fill(descriptor: int) -> None:
    """Make the file as long as the disk allows."""
    size = os.fstat(descriptor).st_size
    step = 64 << 20
    while step >= 4096:
        try:
            os.posix_fallocate(descriptor, size, step)
            size += step
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            step //= 2


def _remounted(path: Path, how: str) -> bool:
    command = ["mount", "-o", f"remount,{how}", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _set(path: Path, off_s: float) -> None:
    new = path.with_suffix(".new")
    new.write_text(str(off_s))
    new.replace(path)
