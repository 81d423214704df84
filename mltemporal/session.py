"""What a kernel needs to launch and follow jobs: settings, database, storage and a Temporal client."""

from __future__ import annotations

import getpass
import os
import platform
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from mltemporal.settings import Settings, load_settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from mltemporal.database.engine import Database
    from mltemporal.launchers.base import Launcher
    from mltemporal.stack import StackState
    from mltemporal.storage.content import Storage


class Session:
    """Opened on first use and shared by every handle of this process; safe from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._client: tuple[str, Client] | None = None

    def ready(self) -> StackState:
        """Return the running services; starts them if they are not there. Takes microseconds if they are.

        Raises:
            StackError, InvalidRequest: they cannot be started.
            VersionMismatch: they were started by newer code: this process is of before an upgrade.
        """
        from mltemporal import stack

        return stack.up(self.settings, tell=print)

    @cached_property
    def database(self) -> Database:
        """The record of everything."""
        from mltemporal.database.engine import Database

        with self._lock:
            self.ready()  # prepares the database
            return Database.open(self.settings.database_url)

    @cached_property
    def storage(self) -> Storage:
        """Datasets, code and models."""
        from mltemporal.storage.content import Storage

        return Storage(self.settings.storage_url)

    async def client(self) -> Client:
        """The Temporal client; call on the background loop, to which it belongs."""
        from mltemporal import stack

        running = stack.state(self.settings)
        address = running.temporal_address if running is not None else ""
        if self._client is None or self._client[0] != address:  # the stack may have moved to another port
            self._client = (address, await stack.connect(self.settings))
        return self._client[1]

    def task_queue(self, backend: str) -> str:
        """Return where the workers listen that run jobs of a backend."""
        from mltemporal.stack.overview import task_queue

        return task_queue(self.settings, self.database, backend)

    def launcher(self, backend: str) -> Launcher:
        """Return the launcher of a backend for what a kernel does: check, prepare, rehearse and forget."""
        from mltemporal.launchers import launcher_of

        return launcher_of(backend, self.settings, owner="kernel")  # which starts nothing

    @cached_property
    def user(self) -> str:
        """Who gives commands, and from where."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            name = str(os.getuid())
        return f"{name}@{platform.node()}"

    @cached_property
    def origin(self) -> str:
        """From where commands are given: ``notebook, process 4711``."""
        if "ipykernel" in sys.modules:
            place = "notebook"
        elif os.path.basename(sys.argv[0]) in ("mltemporal", "__main__.py"):
            place = "command line"
        else:
            place = "program"
        return f"{place}, process {os.getpid()}"

    def job_url(self, workflow_id: str) -> str:
        """Return the workflow's page in Temporal's Web UI; empty where there is none now."""
        from mltemporal import stack

        running = stack.state(self.settings)
        if running is None or not running.web_ui:
            return ""
        return f"{running.web_ui}/namespaces/{running.namespace}/workflows/{workflow_id}"

    def close(self) -> None:
        """Forget the connections; jobs and services go on."""
        if "database" in vars(self):
            self.database.close()


_current: Session | None = None
_lock = threading.Lock()


def current() -> Session:
    """Return this process's session; the first call reads the settings."""
    global _current  # noqa: PLW0603  (one session a process is what a notebook means by "connected")
    with _lock:
        if _current is None:
            _current = _open(load_settings())
        return _current


def replace(settings: Settings | None) -> None:
    """Use other settings from now on; None reads them again on next use."""
    global _current  # noqa: PLW0603
    with _lock:
        if _current is not None:
            _current.close()
        _current = None if settings is None else _open(settings)


def _open(settings: Settings) -> Session:
    settings.export()
    return Session(settings)
