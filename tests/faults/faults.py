"""What goes wrong on a laptop, beside what goes wrong anywhere, and how often each of it comes."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .common_faults import (
    ClockJumps,
    FullDisk,
    KillKernel,
    KillServer,
    KillShard,
    KillStack,
    KillSupervisor,
    KillTraining,
    KillWorker,
    StopServer,
    StopTraining,
    StopWorker,
)
from .harm import Fault, Taken, alone, killed, one_of, signal_group

if TYPE_CHECKING:
    from .laptop import Laptop


class KillKeeper:
    """SIGKILL to the process that would write down how an attempt ends."""

    def strike(self, world: Laptop, rng: random.Random) -> str:
        chosen = one_of([each for each in world.trainings() if each.keeper.alive], rng)
        return killed(chosen.keeper if chosen else None)


class KillGroup:
    """SIGKILL to an attempt's whole process group and its keeper."""

    def strike(self, world: Laptop, rng: random.Random) -> str:
        chosen = one_of(world.trainings(), rng)
        if chosen is None:
            return ""
        killed(chosen.keeper)
        signal_group(chosen, signal.SIGKILL)
        return chosen.name


class KillWarm:
    """SIGKILL to a warm interpreter, perhaps while it forks."""

    def strike(self, world: Laptop, rng: random.Random) -> str:
        return killed(one_of(world.warm(), rng))


class StorageAway:
    """The storage's disk can only be read for some seconds, as after an error of the device."""

    def strike(self, world: Laptop, rng: random.Random) -> str:
        for_s = rng.uniform(0.5, 10.0)
        if world.store not in world.mounted:
            return ""
        with suppress(Taken), alone(world.store):
            for _ in range(100):  # a file that is just being written is in the way
                if _remounted(world.store, "ro"):
                    world.healed.wait(for_s)
                    assert _remounted(world.store, "rw")
                    return f"for {for_s:.1f} s"
                time.sleep(0.02)
        return ""


class DatabaseAway:
    """Somebody holds the database for some seconds, at times longer than it is waited for."""

    def strike(self, world: Laptop, rng: random.Random) -> str:
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


def _remounted(path: Path, how: str) -> bool:
    command = ["mount", "-o", f"remount,{how}", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
