"""The process that keeps the embedded services running: ``python -m mltemporal.stack.supervisor``.

It detaches itself from whoever started it, holds the home's lock as long as it lives, and ends by
SIGTERM. What it watches are its own children; trainings are not among them and are never touched.
"""

from __future__ import annotations

import argparse
import os
import platform
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mltemporal.deployments.build import build_id, code_folder
from mltemporal.errors import MLTemporalError, StackError
from mltemporal.settings import Settings, load_settings
from mltemporal.stack.home import StackFiles, try_lock
from mltemporal.stack.leftovers import stop_leftovers
from mltemporal.stack.logs import rotate
from mltemporal.stack.ports import LOOPBACK, Ports, choose_ports
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import StackState, fingerprints, read_state, write_state
from mltemporal.stack.server import (
    find_binary,
    server_answers,
    server_command,
    server_environ,
    server_version,
)
from mltemporal.stack.service import Launch, Service
from mltemporal.version import __version__

HOUSEKEEPING_EVERY_S = 5.0


class Supervisor:
    """Runs the services until it is told to stop. ``lock`` is the descriptor of the home's lock."""

    def __init__(self, settings: Settings, lock: int, worker_command: list[str]) -> None:
        self._settings = settings
        self._files = StackFiles(settings.home)
        self._lock = lock
        self._worker_command = worker_command
        self._stopping = False
        self._housekeeping_at = 0.0
        self._written: StackState | None = None
        self._started_at = time.time()
        self._ports: Ports | None = None
        self._server_version = ""
        self._address, self._namespace = "", "default"
        self._services: list[Service] = []

    def run(self) -> None:
        """Keep the services running until SIGTERM or until the home is gone, then stop them."""
        woken, _kept_open = _wake_on_signals(self._stop)
        for name in stop_leftovers(self._files, read_state(self._files.state)):
            _log(f"stopped a {name} that a killed supervisor left running")
        self._services = self._make_services()
        _log(f"supervisor {os.getpid()} of mltemporal {__version__} starts")
        try:
            while not self._stopping:
                self._turn(woken)
        finally:
            self._shut_down()

    def _turn(self, woken: socket.socket) -> None:
        for service in self._services:
            self._tend(service)
        self._write()
        if time.monotonic() >= self._housekeeping_at:
            self._housekeeping_at = time.monotonic() + HOUSEKEEPING_EVERY_S
            self._keep_house()
        due = [service.due_in_s for service in self._services]
        pause_s = min([HOUSEKEEPING_EVERY_S, *(each for each in due if each is not None)])
        if not self._stopping and select.select([woken], [], [], pause_s)[0]:
            woken.recv(4096)

    def _stop(self) -> None:
        self._stopping = True

    def _make_services(self) -> list[Service]:
        worker = Service("worker", self._worker_launch, self._files.log("worker"), self._settings.home)
        if self._settings.temporal_configured:
            from mltemporal.stack.connection import configured_target

            self._address, self._namespace = configured_target()
            return [worker]
        binary = find_binary()
        self._server_version = server_version(binary)
        server = Service(
            "temporal",
            lambda: self._server_launch(binary),
            self._files.log("temporal"),
            self._settings.home,
            answers=lambda: self._ports is not None and server_answers(binary, self._ports),
        )
        return [server, worker]

    def _server_launch(self, binary: Path) -> Launch:
        alone = try_lock(self._files.server_lock)
        if alone is None:
            # Two servers on one file start without any error, and spoil it.
            raise StackError("another Temporal server still runs on the database of this home")
        try:
            ports = choose_ports(self._settings, self._files.ports)
        except MLTemporalError:
            os.close(alone)
            raise
        moved = self._ports not in (None, ports)
        self._ports = ports
        self._address = f"{LOOPBACK}:{ports.temporal}"
        if moved:
            _log(f"the old port is taken: Temporal is now at {self._address}")
            self._write()
            self._services[-1].restart()
        database = self._files.server_database(self._server_version)
        return Launch(
            command=server_command(binary, database, ports), environ=server_environ(), inherit=(alone,)
        )

    def _worker_launch(self) -> Launch:
        alone = try_lock(self._files.worker_lock)  # by which it is found, should this process be killed now
        if alone is None:
            raise StackError("another worker of this home's stack still runs")
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return Launch(command=self._worker_command, environ=environ, inherit=(alone,))

    def _tend(self, service: Service) -> None:
        before = service.state, service.restarts
        service.tend()
        if before != (service.state, service.restarts):
            pause = f"; next start in {service.due_in_s:.1f} s" if service.state == "restarting" else ""
            trouble = f": {service.trouble}" if service.state == "restarting" else ""
            _log(f"{service.name} is {service.state}{trouble}{pause}")

    def _keep_house(self) -> None:
        try:
            if os.stat(self._files.lock).st_ino != os.fstat(self._lock).st_ino:
                self._stopping = True  # the home was removed, and made anew by another
                return
            for name in ("supervisor", "temporal", "worker"):
                rotate(self._files.log(name))
        except FileNotFoundError:
            self._stopping = True
        except OSError as error:
            _log(f"cannot rotate the logs: {error}")

    def _write(self) -> None:
        """Write the record when something changed; a full disk is no reason to end."""
        me = ProcessId.of(os.getpid())
        assert me is not None
        state = StackState(
            home=str(self._settings.home),
            supervisor=me,
            version=__version__,
            build=build_id(),
            code=code_folder(),
            python=sys.executable,
            host=platform.node(),
            started_at=self._started_at,
            temporal_address=self._address,
            namespace=self._namespace,
            web_ui=f"http://{LOOPBACK}:{self._ports.web}" if self._ports else "",
            server_version=self._server_version,
            services={service.name: service.snapshot() for service in self._services},
            fingerprints=fingerprints(self._settings, self._temporal()),
        )
        if state == self._written:
            return
        try:
            write_state(self._files.state, state)
            self._written = state
        except OSError as error:
            _log(f"cannot write {self._files.state}: {error}")

    def _temporal(self) -> str:
        return f"{self._address}/{self._namespace}" if self._settings.temporal_configured else "embedded"

    def _shut_down(self) -> None:
        for service in reversed(self._services):  # the worker first: its last words need the server
            service.stop()
            _log(f"{service.name} is stopped")
        self._files.state.unlink(missing_ok=True)
        _log(f"supervisor {os.getpid()} ends")


def _wake_on_signals(stop: Callable[[], None]) -> tuple[socket.socket, socket.socket]:
    """Call ``stop`` on SIGTERM and SIGINT; the first socket becomes readable on them and on SIGCHLD.

    The second one is only to be kept open.
    """
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    for number in (signal.SIGCHLD, signal.SIGHUP):  # not SIG_IGN, which the services would inherit
        signal.signal(number, lambda *_: None)
    return reader, writer


def _log(text: str) -> None:
    try:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        sys.stderr.flush()
    except OSError:
        return  # a full disk: nothing can be said, and nothing must stop


def main() -> None:
    """Detach and supervise; ends at once when another supervisor has the home."""
    parser = argparse.ArgumentParser(prog="python -m mltemporal.stack.supervisor", description=__doc__)
    parser.add_argument("worker", nargs="*", help="the worker's command, by default this package's worker")
    worker_command = parser.parse_args().worker or [
        sys.executable,
        "-P",
        "-m",
        "mltemporal.worker",
        "--home-only",
    ]
    settings = load_settings()
    lock = try_lock(StackFiles(settings.home).lock)
    if lock is None:
        return
    if os.fork():  # the child is adopted by init, so that no kernel has to wait for it
        os._exit(0)
    os.setsid()
    Supervisor(settings, lock, worker_command).run()


if __name__ == "__main__":
    main()
