"""What a fault is, and the few ways in which most of them do their harm."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from mltemporal.stack.process import ProcessId

from .world import Attempt, World

T = TypeVar("T")


class Fault(Protocol):
    """One kind of fault."""

    def strike(self, world: World, rng: random.Random) -> str:
        """Do it, and return what was hit when it is over; empty where there was nothing to hit."""
        ...


class Taken(Exception):
    """Something is wrong with that part already."""


@contextmanager
def alone(part: Path | str) -> Iterator[None]:
    """Let one fault at a time have a disk, or a service.

    Raises:
        Taken: another one has it.
    """
    lock = _PARTS.setdefault(part, threading.Lock())
    if not lock.acquire(blocking=False):
        raise Taken
    try:
        yield
    finally:
        lock.release()


_PARTS: dict[Path | str, threading.Lock] = {}


def one_of(found: Sequence[T], rng: random.Random) -> T | None:
    """Draw a victim."""
    return rng.choice(found) if found else None


def a_while(rng: random.Random) -> float:
    """Draw how long something lasts, in seconds."""
    return rng.choice((rng.uniform(0.1, 3.0), rng.uniform(3.0, 15.0)))


def killed(process: ProcessId | None) -> str:
    """SIGKILL to a process."""
    if process is None or not process.alive:
        return ""
    process.send(signal.SIGKILL)
    return str(process.pid)


def stopped(world: World, process: ProcessId | None, for_s: float) -> str:
    """SIGSTOP to a process, for a while."""
    if process is None or not process.alive:
        return ""
    process.send(signal.SIGSTOP)
    world.healed.wait(for_s)
    process.send(signal.SIGCONT)
    return f"{process.pid} for {for_s:.1f} s"


def signal_group(chosen: Attempt, number: signal.Signals) -> None:
    """Send a signal to an attempt's whole process group."""
    if chosen.training.alive:
        try:
            os.killpg(chosen.training.pid, number)
        except ProcessLookupError:
            return
