"""Watches: a stream of changes from a revision on, with bookmarks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mltemporal.testing.cluster.resources import RESOURCES
from mltemporal.testing.cluster.selectors import Matches
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Entry, Store, event_line


@dataclass(frozen=True)
class Watch:
    """What a watch wants to see."""

    resource: str
    namespace: str
    matches: Matches
    revision: str = ""
    """Where it goes on; "" or "0": with all that exists."""
    bookmarks: bool = False
    initial_events: bool = False
    """All that exists first, then a bookmark that says so (a "watch list")."""
    timeout_s: float = 3600.0

    def line(self, entry: Entry) -> bytes | None:
        """Return the event that a change is for this watch, if it is one."""
        if entry.resource != self.resource:
            return None
        if self.namespace and entry.object["metadata"].get("namespace") != self.namespace:
            return None
        now = entry.type != "DELETED" and self.matches(entry.object)
        before = entry.previous is not None and self.matches(entry.previous)
        kind = {(True, False): "ADDED", (True, True): "MODIFIED", (False, True): "DELETED"}.get((now, before))
        if kind is None:
            return None
        return entry.line if kind == entry.type else event_line(kind, entry.object)


async def stream(store: Store, watch: Watch, bookmark_s: float) -> AsyncIterator[bytes]:
    """Yield the events, one or several lines at a time, until the watch's time is up."""
    queue: asyncio.Queue[Entry] = asyncio.Queue()
    store.listeners.append(queue.put_nowait)
    try:
        loop = asyncio.get_running_loop()
        end = loop.time() + watch.timeout_s
        seen = store.revision
        try:
            for line in _first(store, watch):
                yield line
        except ApiError as error:
            yield event_line("ERROR", error.body())
            return
        next_bookmark = loop.time() + bookmark_s
        while (now := loop.time()) < end:
            if watch.bookmarks and now >= next_bookmark:
                yield _bookmark(watch.resource, seen)
                next_bookmark = now + bookmark_s
            try:
                # Before Python 3.12 `wait_for` may lose a cancellation, and the watch would go on.
                async with asyncio.timeout(min(end, next_bookmark if watch.bookmarks else end) - now):
                    entry = await queue.get()
            except TimeoutError:
                continue
            entries = [entry, *(queue.get_nowait() for _ in range(queue.qsize()))]
            seen = entries[-1].revision
            events = b"".join(event for one in entries if (event := watch.line(one)) is not None)
            if events:
                yield events
        if watch.bookmarks:
            yield _bookmark(watch.resource, seen)
    finally:
        store.listeners.remove(queue.put_nowait)


def _first(store: Store, watch: Watch) -> list[bytes]:
    """Return what the watch sees at once."""
    if watch.revision in ("", "0") or watch.initial_events:
        existing = store.all(watch.resource, watch.namespace)
        lines = [event_line("ADDED", body) for body in existing if watch.matches(body)]
        if watch.initial_events and watch.bookmarks:
            lines.append(_bookmark(watch.resource, store.revision, initial=True))
        return lines
    return [line for entry in store.since(int(watch.revision)) if (line := watch.line(entry)) is not None]


def _bookmark(resource: str, revision: int, *, initial: bool = False) -> bytes:
    meta: dict[str, object] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    kind = RESOURCES[resource]
    return event_line("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta})
