"""Faults that make sense wherever jobs run: one small class a kind.

Each picks its victim by the number that the schedule drew, does its harm, and takes it back where it lasts.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .harm import Taken, a_while, alone, killed, one_of, signal_group, stopped
from .world import World, shards_of


class KillWorker:
    """SIGKILL to the worker; the supervisor starts another."""

    def strike(self, world: World, rng: random.Random) -> str:
        return killed(one_of(world.service("worker"), rng))


class KillServer:
    """SIGKILL to the Temporal server."""

    def strike(self, world: World, rng: random.Random) -> str:
        return killed(one_of(world.service("temporal"), rng))


class KillSupervisor:
    """SIGKILL to the supervisor; the next one who needs the stack starts another."""

    def strike(self, world: World, rng: random.Random) -> str:
        running = world.state
        return killed(running.supervisor if running else None)


class KillStack:
    """SIGKILL to supervisor, server and worker at once, as when the machine's memory runs out."""

    def strike(self, world: World, rng: random.Random) -> str:
        running = world.state
        if running is None:
            return ""
        services = [service.process for service in running.services.values()]
        return " ".join(killed(each) for each in (running.supervisor, *services) if each)


class KillTraining:
    """SIGKILL to the process of an attempt."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = one_of(world.trainings(), rng)
        return killed(chosen.training if chosen else None)


@dataclass
class KillShard:
    """SIGKILL to a process that works on shards; once an attempt, as each shard has few tries."""

    hit: set[str] = field(default_factory=set)

    def strike(self, world: World, rng: random.Random) -> str:
        found = [(each, shards_of(each.training)) for each in world.trainings() if each.name not in self.hit]
        chosen = one_of([(each, shards) for each, shards in found if shards], rng)
        if chosen is None:
            return ""
        self.hit.add(chosen[0].name)
        return killed(one_of(chosen[1], rng))


class KillKernel:
    """SIGKILL to a kernel; another takes its place."""

    def strike(self, world: World, rng: random.Random) -> str:
        chosen = one_of(world.kernels.alive(), rng)
        if chosen is not None:
            world.kernels.shot.add(chosen.pid)
        return killed(chosen)


class StopWorker:
    """SIGSTOP to the worker for a while, longer than its silence is borne at times."""

    def strike(self, world: World, rng: random.Random) -> str:
        return stopped(world, one_of(world.service("worker"), rng), a_while(rng))


class StopServer:
    """SIGSTOP to the Temporal server for a while."""

    def strike(self, world: World, rng: random.Random) -> str:
        return stopped(world, one_of(world.service("temporal"), rng), a_while(rng))


class StopTraining:
    """SIGSTOP to an attempt's process group for a while."""

    def strike(self, world: World, rng: random.Random) -> str:
        for_s = a_while(rng)
        chosen = one_of(world.trainings(), rng)
        if chosen is None:
            return ""
        signal_group(chosen, signal.SIGSTOP)
        world.healed.wait(for_s)
        signal_group(chosen, signal.SIGCONT)
        return f"{chosen.name} for {for_s:.1f} s"


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
        with suppress(Taken), alone(path):
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


def _set(path: Path, off_s: float) -> None:
    new = path.with_suffix(".new")
    new.write_text(str(off_s))
    new.replace(path)
