"""The API server's socket, and its kubeconfig."""

from __future__ import annotations

import asyncio
import json
import os

from aiohttp import web

from mltemporal.testing.cluster.api import USER, Api
from mltemporal.testing.cluster.control_plane import ControlPlane


class Server:
    """Serves a control plane on 127.0.0.1; can be stopped and started on the same port."""

    def __init__(self, plane: ControlPlane, token: str) -> None:
        self._plane = plane
        self._api = Api(plane, token)
        self._token = token
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Number of open connections."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    async def start(self) -> None:
        """Listen, on a free port the first time, on the same one later."""
        runner = web.AppRunner(
            self._api.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        if self._runner is None:
            return
        if self._runner.server is not None:
            for handler in self._runner.server.connections:
                if isinstance(handler.transport, asyncio.WriteTransport):
                    handler.transport.abort()
        await self._runner.cleanup()
        self._runner = None

    def compact(self) -> None:
        """Forget the past: watches from an earlier revision and lists that go on get 410."""
        self._plane.store.compact()
        self._api.lists.forget()

    def write_kubeconfig(self, path: str) -> None:
        """Write a kubeconfig (JSON is YAML) that only its owner can read.

        Its second context is for kubectl, which sends a token over TLS only: there the URL has it.
        """
        clusters = {"stand-in": self.url, "kubectl": f"{self.url}/{self._token}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}} for name, url in clusters.items()],
            "users": [{"name": USER, "user": {"token": self._token}}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": USER, "namespace": "default"}}
                for name in clusters
            ],
            "current-context": "stand-in",
        }
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(config, file, indent=1)
