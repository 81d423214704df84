"""One local process as files: what `keeper` writes, read and acted upon."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltemporal.errors import ServiceUnavailable
from mltemporal.launchers import keeper
from mltemporal.launchers.base import Phase, Sighting
from mltemporal.launchers.warm import WarmInterpreters

READ_BYTES = 1 << 20
LOG_LIMIT_BYTES = 4 << 30
"""What a process may print: one that prints more would fill the disk, and is ended."""
_START_S = 20.0


class ProcessFolder:
    """The folder of one process; holds no state of its own, so any number may look at one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    @property
    def exists(self) -> bool:
        """Whether there is an order, so that the process runs, ran or will run."""
        return (self.path / "order.json").exists()

    @property
    def started(self) -> bool:
        """Whether the process was started."""
        return (self.path / "process.json").exists() or (self.path / "exit.json").exists()

    @property
    def waits(self) -> bool:
        """Whether the process is to be started, and can be: its order is sound."""
        return not self.started and self._load("order.json") is not None

    @property
    def queued_at(self) -> tuple[float, str]:
        """Sorts folders by the time of their order."""
        order = self._load("order.json")
        return (float("inf") if order is None else order["queued_at"], self.name)

    @property
    def owner(self) -> str:
        """Whose process it is; empty where the order does not say, or is gone."""
        return str((self._load("order.json") or {}).get("owner", ""))

    def place(self, order: dict[str, Any]) -> None:
        """Write the order, unless there is one."""
        if not self.exists:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            keeper.write_json(str(self.path / "order.json"), {**order, "queued_at": time.time()})

    def look(self) -> Sighting:
        """Return the phase, without output."""
        seen = self._look()
        if seen.phase.final and (self.path / "outgrown").exists():
            return Sighting(phase=Phase.FAILED, exit_code=seen.exit_code, reason=_OUTGROWN)
        return seen

    def end_outgrown(self, limit_bytes: int) -> None:
        """End the process group where it has printed more than ``limit_bytes``; `look` says so."""
        with suppress(FileNotFoundError):
            if (self.path / "output.log").stat().st_size > limit_bytes:
                (self.path / "outgrown").touch(mode=0o600)
                self.kill()

    def _look(self) -> Sighting:
        ended = self._load("exit.json")
        if ended is not None:
            return _ending(ended["code"])
        process = self._load("process.json")
        if process is None:
            return self._without_process()
        if _alive(process["training"]):
            paused = (self.path / "suspended").exists()
            return Sighting(phase=Phase.SUSPENDED if paused else Phase.RUNNING)
        if _alive(process["keeper"]):
            return Sighting(phase=Phase.RUNNING)  # it is about to write down how the training ended
        ended = self._load("exit.json")
        if ended is not None:
            return _ending(ended["code"])
        return Sighting(phase=Phase.INTERRUPTED, reason="its process is gone and nobody saw how it ended")

    def _without_process(self) -> Sighting:
        if (self.path / "process.json").exists() and not self._load("process.json"):
            return Sighting(phase=Phase.INTERRUPTED, reason="the record of its process is damaged")
        if self.exists and not self._load("order.json"):
            return Sighting(phase=Phase.INTERRUPTED, reason="the order to start it is damaged")
        return Sighting(phase=Phase.QUEUED)

    def read(self, position: int) -> bytes:
        """Return output from ``position`` on, at most `READ_BYTES`."""
        try:
            with (self.path / "output.log").open("rb") as file:
                file.seek(position)
                return file.read(READ_BYTES)
        except FileNotFoundError:
            return b""

    async def run(self, warm: WarmInterpreters) -> None:
        """Start the keeper, which starts the process; returns when it has.

        Raises:
            ServiceUnavailable: it did not.
        """
        order = self._load("order.json")
        if warm.run(str(self.path), order) and await self._begun(lambda: warm.ended(order)):
            return
        # A fork and an exec: milliseconds, and the child must not depend on this event loop.
        running = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-I", "-S", keeper.__file__, str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=running.wait, name="reap-keeper", daemon=True).start()
        if not await self._begun(lambda: running.returncode is not None):
            raise ServiceUnavailable(
                f"the keeper of {self.name!r} started no training (exit code {running.returncode})",
                "`mltemporal doctor` says where the worker's log is",
            )

    async def _begun(self, given_up: Callable[[], bool]) -> bool:
        """Wait until the process was started; False where the one who should start it has given up."""
        deadline = time.monotonic() + _START_S
        while not self.started:
            if given_up() or time.monotonic() > deadline:
                return self.started
            await asyncio.sleep(0.003)
        return True

    async def give_up(self) -> None:
        """Take an order back that was not started yet; one that a keeper has begun with is let start."""
        while self.exists and not self.started:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not self.started:
                    keeper.write_json(str(self.path / "exit.json"), {"code": -signal.SIGTERM})
            except BlockingIOError:
                await asyncio.sleep(0.01)
            finally:
                os.close(lock)

    def suspend(self) -> None:
        """Stop the process group."""
        if self._signal(signal.SIGSTOP):
            (self.path / "suspended").touch(mode=0o600)

    def resume(self) -> None:
        """Let the process group go on."""
        (self.path / "suspended").unlink(missing_ok=True)
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the process group to end, also when it is suspended."""
        self._signal(signal.SIGTERM)
        self.resume()

    def kill(self) -> None:
        """End the process group by force."""
        self._signal(signal.SIGKILL)

    async def ended(self, within_s: float) -> bool:
        """Wait for the end, at most so long; returns whether it came."""
        deadline = time.monotonic() + within_s
        while self.exists and not self.look().phase.final:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def _signal(self, number: signal.Signals) -> bool:
        """Signal the process group, if it is certainly still the one that was started."""
        process = self._load("process.json")
        if process is None or not _alive(process["training"]):
            return False
        try:
            os.killpg(process["training"][0], number)
        except ProcessLookupError:
            return False
        return True

    def _load(self, file: str) -> Any:
        """Return what a file says; None where it is not there, or damaged (by a full disk, say)."""
        try:
            found = json.loads((self.path / file).read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return found if _SOUND[file](found) else None


_OUTGROWN = (
    f"it was ended because it had printed more than a log may hold ({LOG_LIMIT_BYTES >> 30} GiB): "
    "print less, or write to a file and keep that by log_artifact"
)


def _sound_process(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(who), list)
        and len(value[who]) == 2
        and type(value[who][0]) is int
        and 0 < value[who][0] < 1 << 31
        for who in ("keeper", "training")
    )


_SOUND: dict[str, Callable[[Any], bool]] = {
    "order.json": lambda value: isinstance(value, dict),
    "process.json": _sound_process,
    "exit.json": lambda value: isinstance(value, dict) and type(value.get("code")) is int,
}


def _alive(process: list[Any]) -> bool:
    pid, mark = process
    return mark is not None and keeper.start_mark(pid) == mark


def _ending(code: int) -> Sighting:
    """Translate an exit code; a shell's ``128 + n``, which our runtime uses too, means signal ``n``."""
    if code == 0:
        return Sighting(phase=Phase.SUCCEEDED, exit_code=0)
    number = -code if code < 0 else code - 128
    if number in {int(known) for known in signal.Signals}:
        reason = f"killed by {signal.Signals(number).name}"
        if number == signal.SIGKILL:
            reason += " (by a person, or by the system because memory ran out)"
        return Sighting(phase=Phase.INTERRUPTED, exit_code=code, reason=reason)
    return Sighting(phase=Phase.FAILED, exit_code=code, reason=f"exit code {code}")
