"""A worker's own parts, as the session through which `owner` starts and ends jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mltemporal.database.engine import Database
from mltemporal.launchers.base import Launcher
from mltemporal.session import Session
from mltemporal.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client


class WorkersSession(Session):
    """Nothing is opened or started: the worker has it all."""

    def __init__(
        self, settings: Settings, client: Client, database: Database, launchers: Mapping[str, Launcher]
    ) -> None:
        super().__init__(settings)
        self.database = database
        self.launchers = launchers
        self._workers_client = client

    async def client(self) -> Client:
        """The worker's client."""
        return self._workers_client

    def launcher(self, backend: str) -> Launcher:
        """The worker's launcher of the backend."""
        return self.launchers[backend]
