"""A way to a server that can be cut, held up and restored: what a network does to connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 1 << 16


class Relay:
    """Passes on what comes to `port` of loopback to another port, and back; works in a thread of its own.

    Args:
        target: the port of the server. It need not run yet.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._flows: asyncio.Event
        self._break_after: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._serving: asyncio.Task[None] | None = None
        listening = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name=f"relay to {target}", daemon=True
        )
        self._thread.start()
        listening.wait()

    def cut(self) -> None:
        """End every connection, and each that is made from now on."""
        self._call(self._cut_all)

    def restore(self) -> None:
        """Let connections be made again, and what was held back go on."""
        self._call(self._restore)

    def hold(self) -> None:
        """Pass nothing on, either way, and end nothing, as where packets are lost."""
        self._call(self._flows.clear)

    def break_answers(self, times: int, after_bytes: int) -> None:
        """Cut the next ``times`` connections on which more than so many bytes are answered."""
        self._call(lambda: self._break_after.extend([after_bytes] * times))

    def close(self) -> None:
        """End it with its connections."""
        self._call(self._cut_all)
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()

    def _call(self, work: Callable[[], object]) -> None:
        async def wrapped() -> None:
            work()

        asyncio.run_coroutine_threadsafe(wrapped(), self._loop).result()

    # Below: in the thread

    def _run(self, listening: threading.Event) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serve(listening))
        self._loop.close()

    async def _serve(self, listening: threading.Event) -> None:
        self._serving = asyncio.current_task()
        self._flows = asyncio.Event()
        self._flows.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        async with server:
            await asyncio.Event().wait()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _cut_all(self) -> None:
        self._cut = True
        for writer in self._open:
            writer.transport.abort()

    def _restore(self) -> None:
        self._cut = False
        self._break_after.clear()
        self._flows.set()

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._open.add(to_client)
        to_server: asyncio.StreamWriter | None = None
        try:
            if self._cut:
                return
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(to_server)
            if self._cut:  # meanwhile
                return
            ways = [
                asyncio.ensure_future(self._pass_on(from_client, to_server, answers=False)),
                asyncio.ensure_future(self._pass_on(from_server, to_client, answers=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            return  # the server is away: the client sees its connection end
        finally:
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.transport.abort() if self._cut else writer.close()
                    self._open.discard(writer)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        passed = 0
        while chunk := await source.read(_CHUNK):
            await self._flows.wait()
            passed += len(chunk)
            if answers and self._break_after and passed > self._break_after[0]:
                self._break_after.pop(0)
                sink.transport.abort()
                return
            sink.write(chunk)
            await sink.drain()
