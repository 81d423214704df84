"""A rank's output is read to its end, whatever the API server does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from mltemporal.launchers.kubernetes import output as module
from mltemporal.launchers.kubernetes.output import Cursor, RankOutput
from mltemporal.launchers.kubernetes.template import CONTAINER

LINES = [f"2026-01-01T00:00:0{number}.000000000Z line {number}\n".encode() for number in range(3)]
ENDED = {"terminated": {"exitCode": 0, "reason": "Completed"}}


class Silent:
    """A cluster whose pod has ended, and whose API server gives nothing on a stream that waits for more."""

    def __init__(self) -> None:
        status = {"phase": "Succeeded", "containerStatuses": [{"name": CONTAINER, "state": ENDED}]}
        pod = {"metadata": {"name": "pod", "labels": {}}, "status": status}
        self.api = SimpleNamespace(path=lambda *_, **__: "log", stream=self._stream)
        self._state = SimpleNamespace(pods=(pod,))

    def state(self, _name: str) -> Any:
        return self._state

    async def change(self, _name: str, within_s: float) -> None:
        await asyncio.sleep(min(within_s, 0.01))

    @asynccontextmanager
    async def _stream(self, _path: str, **query: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async def lines() -> AsyncIterator[bytes]:
            if query["follow"]:
                await asyncio.sleep(600)
            for line in LINES:
                yield line

        yield lines()


async def test_a_silent_api_server_costs_no_line_of_a_pod_that_has_ended(monkeypatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.1)
    read = RankOutput(Silent(), "training-1-1", 0, Cursor())  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while not read.finished:
            await asyncio.sleep(0.02)
    text, _ = read.take()
    await read.close()
    assert b"line 0\nline 1\nline 2\n" == text
