"""Ending all processes of a session; and the watchdog that does so when their owner was killed.

Run as a script, this file is the watchdog: it reads ``+<session>`` and ``-<session>`` lines, and when its
owner is gone it ends the sessions that are left and removes the directory it was given.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys

import psutil


def members(sessions: set[int]) -> dict[int, list[int]]:
    """Return the processes of each session, from one look at all processes."""
    found: dict[int, list[int]] = {session: [] for session in sessions}
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            session = os.getsid(pid)
            if session in found:
                found[session].append(pid)
    return found


def end(sessions: set[int]) -> None:
    """Kill every process of these sessions."""
    for session in sessions:
        with contextlib.suppress(OSError):
            os.killpg(session, signal.SIGKILL)
    for pids in members(sessions).values():
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 if it has ended."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


class Watchdog:
    """A process that outlives its owner just long enough to end what the owner has started."""

    def __init__(self, directory: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", os.path.abspath(__file__), directory, str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # so that neither Ctrl-C nor the end of the owner's group reaches it
        )

    def started(self, session: int) -> None:
        """Take responsibility for a session."""
        self._tell(f"+{session}")

    def ended(self, session: int) -> None:
        """Forget a session that has ended: its number may be given away again."""
        self._tell(f"-{session}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End the watchdog, and all it is responsible for."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


def _watch(directory: str, owner: int) -> None:
    sessions: set[int] = set()
    rest = b""
    while True:
        # A fork of the owner may hold the pipe open: so its parent is looked at too.
        if select.select([0], [], [], 0.5)[0]:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                session = int(line[1:])
                (sessions.add if line.startswith(b"+") else sessions.discard)(session)
        elif os.getppid() != owner:
            break
    end(sessions)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _watch(sys.argv[1], int(sys.argv[2]))
