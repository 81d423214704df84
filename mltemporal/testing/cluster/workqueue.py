"""A queue of keys to look at: each key is there once, now or later, and is looked at by one task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class WorkQueue:
    """Calls ``sync(key)`` for every key that was added, soon after, in the order of arrival."""

    def __init__(self, sync: Callable[[str], None]) -> None:
        self._sync = sync
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def add(self, key: str, after_s: float = 0) -> None:
        """Look at ``key``, at once or after a time; of several times the first counts."""
        if after_s <= 0:
            self._due[key] = None
            self._wake.set()
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is None or timer.cancelled() or timer.when() > loop.time() + after_s:
            if timer is not None:
                timer.cancel()
            self._timers[key] = loop.call_later(after_s, self._ring, key)

    def _ring(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._due:
                    key = next(iter(self._due))
                    del self._due[key]
                    self._sync(key)
                    await asyncio.sleep(0)  # requests are served between two keys
        finally:
            for timer in self._timers.values():
                timer.cancel()
