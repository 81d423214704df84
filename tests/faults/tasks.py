"""What the jobs of a fault run do: user code, whose results are known and which notices a second attempt.

It travels by value with each job. So all that it needs is in this module, or imported
where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

ROWS = 600
MODULUS = 2**61 - 1


def advanced(value: int, step: int) -> int:
    """Return the state of a count after ``step``."""
    return (value * 6_364_136_223_846_793_005 + step) % MODULUS


def counted(seed: int, steps: int) -> int:
    """Return what an undisturbed count comes to."""
    value = seed
    for step in range(1, steps + 1):
        value = advanced(value, step)
    return value


def turned(seed: int, turns: Iterable[int]) -> int:
    """Return what a count comes to that saw ``turns``, one at each step."""
    value = seed
    for step, turn in enumerate(turns, 1):
        value = advanced(value + turn, step)
    return value


@contextmanager
def witnessed(folder: str) -> Iterator[None]:
    """Hold a lock while the code of an attempt runs, and write down who else of the same job holds one.

    First one's own is taken, then the others are looked at: of two at once, one sees the other at least.
    The system lets go of a lock with the process, so what is held is alive.
    """
    import fcntl
    import glob
    import os

    from mltemporal.runtime import context

    job = context.current()
    assert job is not None
    mine = f"{folder}/{job.key}.{job.attempt}.{os.getpid()}.lock"
    held = os.open(mine, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    for other in glob.glob(f"{folder}/{job.key}.*.lock"):
        if int(other.split(".")[-3]) == job.attempt:  # the processes of one attempt share its shards
            continue
        looked = os.open(other, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(looked, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with open(f"{folder}/overlaps", "a") as told:
                told.write(f"{os.path.basename(other)} was alive when {os.path.basename(mine)} began\n")
        finally:
            os.close(looked)
    try:
        yield
    finally:
        os.close(held)


def count(
    data: Any, *, seed: int, steps: int, pause_s: float, witness: str, fails_at: int = 0, repaired: str = ""
) -> Any:
    """Go on at the last checkpoint, report each step, save it; return the state at the end.

    Raises at the step ``fails_at``, unless the file ``repaired`` is there.
    """
    import os
    import time

    import mltemporal

    with witnessed(witness):
        state = mltemporal.checkpoint.load() or {"step": 0, "value": seed}
        while state["step"] < steps:
            if 0 < fails_at <= state["step"] and not os.path.exists(repaired):
                raise ValueError(f"meant to fail at step {state['step']}")
            step = state["step"] + 1
            state = {"step": step, "value": advanced(state["value"], step)}
            mltemporal.report(step=step, total=steps, half=step / 2)
            mltemporal.checkpoint.save(state, step=step)
            time.sleep(pause_s)
    return state["value"]


def tuned(data: Any, *, seed: int, steps: int, pause_s: float, witness: str, turn: int = 0) -> Any:
    """Count with what ``turn`` is set to, and report it; ends ``steps`` steps after it was set."""
    import time

    import mltemporal

    with witnessed(witness):
        if turn != mltemporal.params["turn"]:
            raise RuntimeError(f"it was called with {turn}, and {mltemporal.params['turn']} was set")
        state = mltemporal.checkpoint.load() or {"step": 0, "value": seed, "left": steps}
        while state["left"]:
            turn, step = mltemporal.params["turn"], state["step"] + 1
            value = advanced(state["value"] + turn, step)
            state = {"step": step, "value": value, "left": state["left"] - bool(turn)}
            mltemporal.report(step=step, half=step / 2, turn=turn)
            mltemporal.checkpoint.save(state)
            time.sleep(pause_s)
    return state["value"]


def tracked(data: Any, *, seed: int, steps: int, pause_s: float, witness: str, saves: bool) -> Any:
    """Count the items of a loop of `track`; without ``saves`` its state is saved when somebody asks."""
    import time

    import mltemporal

    with witnessed(witness):
        state = mltemporal.checkpoint.load() or {"step": 0, "value": seed}
        if not saves:
            mltemporal.checkpoint.on_stop(lambda: state)
        for done in mltemporal.track(range(steps)):
            if state["step"] == done:  # killed in its first item, a loop goes on with it
                state = {"step": done + 1, "value": advanced(state["value"], done + 1)}
            mltemporal.report(half=done / 2)
            time.sleep(pause_s)
            if saves:
                mltemporal.checkpoint.save(state)
    return state["value"]


SCRIPT = """
import sys, time
import mltemporal
from faults.tasks import advanced, witnessed

said = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
asked = {"witness": said["witness"], "seed": int(said["seed"]), "steps": int(said["steps"])}
asked["pause_s"] = float(said["pause_s"])
with witnessed(asked["witness"]):
    state = mltemporal.checkpoint.load() or {"step": 0, "value": asked["seed"]}
    for step in range(state["step"] + 1, asked["steps"] + 1):
        state = {"step": step, "value": advanced(state["value"], step)}
        mltemporal.report(step=step, total=asked["steps"], half=step / 2)
        mltemporal.checkpoint.save(state)
        time.sleep(asked["pause_s"])
mltemporal.log_artifact(str(state["value"]), "value.txt")
"""


def doubled(witness: str, pause_s: float) -> Any:
    """Return a step of a preprocessing, which takes its time for each batch of rows."""

    def double(table: Any) -> Any:
        import time

        with witnessed(witness):
            time.sleep(pause_s)
            return table.assign(twice=table["x"] * 2)

    return double


class Tripling:
    """A model that takes its time for each batch of rows."""

    feature_names_in_ = ("x",)

    def __init__(self, witness: str, pause_s: float) -> None:
        self.witness = witness
        self.pause_s = pause_s

    def predict(self, table: Any) -> Any:
        """Return three times ``x``."""
        import time

        with witnessed(self.witness):
            time.sleep(self.pause_s)
            return table["x"] * 3
