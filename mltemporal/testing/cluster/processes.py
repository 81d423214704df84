"""What runs in a container: a real process in a session of its own, or a simulated one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
from typing import Protocol

from mltemporal.testing.cluster import sessions
from mltemporal.testing.cluster.logs import Log
from mltemporal.testing.cluster.settings import Settings


class Running(Protocol):
    """A started container."""

    out_of_memory: bool
    session: int | None

    async def wait(self) -> int:
        """Return the exit code once all of it has ended; 128 + n for the signal n."""

    def send(self, number: int) -> None:
        """Send a signal to the main process; SIGKILL goes to all of them."""


class Process:
    """A real process; its session is all that belongs to the container."""

    def __init__(
        self, argv: list[str], env: dict[str, str], cwd: str, log: Log, watchdog: sessions.Watchdog
    ) -> None:
        self.out_of_memory = False
        self._log = log
        self._watchdog = watchdog
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        output, theirs = os.pipe()
        try:
            self._popen = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(theirs)
        self.session: int | None = self._popen.pid
        watchdog.started(self._popen.pid)
        self._pump = asyncio.create_task(self._read(output))
        # asyncio's own subprocesses wait for the end of the pipe too, in some versions of Python: a forgotten
        # grandchild would keep the container running.
        threading.Thread(target=self._reap, name=f"container-{self.session}", daemon=True).start()

    def _reap(self) -> None:
        code = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._exited, code)

    def _exited(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code if code >= 0 else 128 - code)

    async def _read(self, output: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb", buffering=0)
        )
        try:
            while data := await reader.read(65536):
                self._log.write(data)
        finally:
            transport.close()

    async def wait(self) -> int:
        """Return the exit code once all of it has ended; 128 + n for the signal n."""
        code = await asyncio.shield(self._exit)
        assert self.session is not None
        sessions.end({self.session})
        await asyncio.wait({self._pump}, timeout=2)
        self._pump.cancel()
        self._log.end()
        self._watchdog.ended(self.session)
        self.session = None
        return code

    def send(self, number: int) -> None:
        """Send a signal to the main process; SIGKILL goes to all of them."""
        if self.session is None or self._exit.done():
            return
        if number == signal.SIGKILL:
            sessions.end({self.session})
        else:
            with contextlib.suppress(ProcessLookupError):
                self._popen.send_signal(number)


class Simulated:
    """No process: prints progress lines and ends with 0, or with the signal's code at once."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self.out_of_memory = False
        self.session: int | None = None
        self._settings = settings
        self._log = log
        self._signal: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Return 0 after the last step, 128 + n after the signal n."""
        total = self._settings.simulated_steps
        try:
            for step in range(1, total + 1):
                line = json.dumps({"step": step, "total": total}, separators=(",", ":"))
                self._log.write(f"::mltemporal::{line}\n".encode())
                done, _ = await asyncio.wait({self._signal}, timeout=self._settings.simulated_interval_s)
                if done:
                    return 128 + self._signal.result()
            return 0
        finally:
            self._log.end()

    def send(self, number: int) -> None:
        """End it with that signal's code."""
        if not self._signal.done():
            self._signal.set_result(number)
