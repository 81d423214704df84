"""One process that is kept running: started, watched, started again with growing pauses, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mltemporal.errors import MLTemporalError
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import ServiceState

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0
"""After so long a life, a death starts the pauses from the shortest again."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start the process, made anew for every start."""

    command: Sequence[str]
    environ: dict[str, str]
    inherit: tuple[int, ...] = ()
    """Descriptors for the process only; the service closes its own copies."""


@dataclass
class Service:
    """A process of one name; not safe from several threads."""

    name: str
    launch: Callable[[], Launch]
    log: Path
    cwd: Path
    answers: Callable[[], bool] = lambda: True
    """Whether the started process can be used; asked until it says yes."""
    grace_s: float = 8.0
    """How long it may take to stop before it is killed."""

    state: str = "starting"
    failures: int = 0
    restarts: int = 0
    trouble: str = ""
    next_start: float = 0.0
    """On the monotonic clock."""
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _process: ProcessId | None = None
    _started_at: float = 0.0

    def tend(self) -> None:
        """Notice a death, start what is due, ask a starting process whether it can be used."""
        now = time.monotonic()
        if self._child is not None and (code := self._child.poll()) is not None:
            self._died(code, now)
        if self._child is None and now >= self.next_start:
            self._start(now)
        if self._child is not None and self.state != "running" and self.answers():
            self.state = "running"

    @property
    def due_in_s(self) -> float | None:
        """Seconds until `tend` has something to do; None while nothing but a death matters."""
        if self._child is None:
            return max(0.0, self.next_start - time.monotonic())
        return None if self.state == "running" else 0.02

    def restart(self) -> None:
        """Ask the process to end; it is started again at once."""
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End the process: SIGTERM, after `grace_s` SIGKILL."""
        self.state = "stopped"
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = self._process = None

    def snapshot(self) -> ServiceState:
        """Return what the record says about it."""
        return ServiceState(
            state=self.state,
            process=self._process,
            restarts=self.restarts,
            failures=self.failures,
            trouble=self.trouble,
        )

    def _start(self, now: float) -> None:
        try:
            launch = self.launch()
            try:
                with open(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as output:
                    self._child = subprocess.Popen(
                        launch.command,
                        env=launch.environ,
                        cwd=self.cwd,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        pass_fds=launch.inherit,
                        umask=0o077,  # the server knows no other way to keep its database private
                    )
            finally:
                for descriptor in launch.inherit:
                    os.close(descriptor)
        except (OSError, MLTemporalError) as error:
            self._pause(f"cannot start: {error}", now)
            return
        self._process = ProcessId.of(self._child.pid)
        self._started_at = now
        self.state = "starting"

    def _died(self, code: int, now: float) -> None:
        self._child = self._process = None
        if now - self._started_at >= HEALTHY_AFTER_S:
            self.failures = 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._pause(f"{how} after {now - self._started_at:.1f} s", now)

    def _pause(self, trouble: str, now: float) -> None:
        self.trouble = trouble
        self.state = "restarting"
        self.failures += 1
        self.restarts += 1
        self.next_start = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self.failures - 1, 20))
