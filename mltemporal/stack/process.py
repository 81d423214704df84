"""Which process is meant: a process id together with its start, so that a reused id is no mistake."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from mltemporal.launchers.keeper import start_mark


@dataclass(frozen=True)
class ProcessId:
    """One process of this machine, in this boot."""

    pid: int
    started: str
    """When it started, in a form that clock changes do not touch; only to be compared."""

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Identify the running process ``pid``; None where there is none, or only a zombie."""
        started = start_mark(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_mark(self.pid) == self.started

    def send(self, signal_number: int) -> None:
        """Send a signal; does nothing when the process is gone."""
        if self.alive:
            try:
                os.kill(self.pid, signal_number)
            except ProcessLookupError:
                return

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is gone; returns whether it is. It need not be a child."""
        deadline = time.monotonic() + timeout_s
        pause_s = 0.005
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(pause_s)
            pause_s = min(0.1, pause_s * 1.5)
        return True

    def stop(self, grace_s: float) -> bool:
        """End it by SIGTERM, after ``grace_s`` seconds by SIGKILL; returns whether it is gone. Idempotent."""
        self.send(signal.SIGTERM)
        if self.wait(grace_s):
            return True
        self.send(signal.SIGKILL)
        return self.wait(5)
