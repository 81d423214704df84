"""The output of one rank of an attempt, as one stream over all its pods and connections.

Kubernetes gives a log from a time on, not from a byte. So the stream is read with timestamps,
and a cursor says how far: the last line's time in nanoseconds, and how many lines had that time.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from calendar import timegm
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mltemporal.errors import InvalidRequest, MLTemporalError, NotFound
from mltemporal.launchers.kubernetes.api import Forbidden
from mltemporal.launchers.kubernetes.cluster import Cluster
from mltemporal.launchers.kubernetes.pods import container_of, is_over, terminated
from mltemporal.launchers.kubernetes.template import CONTAINER

Json = dict[str, Any]

log = logging.getLogger("mltemporal.kubernetes")

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d)) ?")
_INDEX = "batch.kubernetes.io/job-completion-index"
_CHUNK_BYTES = 256 << 10
_PIECE_BYTES = 64 << 10
"""A longer line (a progress bar that is drawn over and over) is read in pieces, each counted as a line."""
_PAUSE_S = 0.2
_SILENCE_S = 3.0
_ANSWER_S = 30.0


@dataclass(frozen=True, order=True)
class Cursor:
    """How far a log was read: ``count`` lines of the time ``ns`` (since the epoch), and all before."""

    ns: int = 0
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that ``str`` wrote; the beginning where there is none."""
        ns, _, count = text.partition("/")
        return cls(int(ns), int(count)) if ns else cls()

    def __str__(self) -> str:
        return f"{self.ns}/{self.count}" if self.ns else ""

    def after(self, ns: int) -> Cursor:
        """Return the cursor past one more line, of that time."""
        return Cursor(ns, self.count + 1 if ns == self.ns else 1)


class RankOutput:
    """Reads in a task of its own; `take` gives what has come since the last time.

    Args:
        skip: bytes at the beginning that are recorded already, where no cursor was.
    """

    def __init__(self, cluster: Cluster, name: str, rank: int, cursor: Cursor, *, skip: int = 0) -> None:
        self.finished = False
        """Whether every pod that there is has said all it will, or nothing yet."""
        self.trouble = ""
        """Why there is no output although there may be some."""
        self._cluster = cluster
        self._name = name
        self._rank = rank
        self._read = cursor
        self._skip = skip
        self._lines: list[bytes] = []
        self._size = 0
        self._taken = asyncio.Event()
        self.arrived = asyncio.Event()
        self._heard_at = 0.0
        self._exhausted: set[str] = set()
        self._task = asyncio.create_task(self._run(), name=f"output of {name} rank {rank}")

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (error := self._task.exception()):
            raise error

    def take(self) -> tuple[bytes, str]:
        """Return the whole lines that have come, and the cursor after them."""
        if self._task.done() and not self._task.cancelled() and (error := self._task.exception()):
            raise error
        lines, self._lines, self._size = b"".join(self._lines), [], 0
        self._taken.set()
        self.arrived.clear()
        return lines, str(self._read)

    async def _run(self) -> None:
        while True:
            pod = self._pod()
            if pod is None or not _has_output(pod):
                if pod is not None and _ended(pod):
                    self._exhausted.add(pod["metadata"]["name"])
                    continue
                self.finished = True  # as long as none starts
                self.arrived.set()
                await self._cluster.change(self._name, 1.0)
                continue
            self.finished = False
            name = pod["metadata"]["name"]
            partial = None
            try:
                partial = await self._until_silent(name)
            except Forbidden as error:
                self.trouble = f"its output cannot be read: {error.what}"
                self.arrived.set()
            except (NotFound, InvalidRequest) as error:  # the pod, or its log, is gone; or not there yet
                log.debug("%s", error)
            except MLTemporalError as error:
                log.info("the log of %s: %s", name, error)
                await asyncio.sleep(_PAUSE_S)
                continue
            if await self._has_ended(name):
                self._exhausted.add(name)
                if partial is not None:  # its last words, without a newline
                    await self._keep(*partial)

    async def _has_ended(self, name: str) -> bool:
        """Whether the container has ended: the cluster says so a moment after the stream ends, or was cut."""
        for _ in range(10):
            if self._is_over(name):
                return True
            await self._cluster.change(self._name, _PAUSE_S)
        return False

    def _pod(self) -> Json | None:
        """Return the pod of the rank whose output is to be read: the oldest one not read to its end."""
        state = self._cluster.state(self._name)
        if state is None:
            return None
        pods = [pod for pod in state.pods if int(pod["metadata"]["labels"].get(_INDEX, 0)) == self._rank]
        unread = [pod for pod in pods if pod["metadata"]["name"] not in self._exhausted]
        return unread[0] if unread else None

    async def _until_silent(self, pod: str) -> tuple[int, bytes] | None:
        """Read the pod's log to its end.

        The stream of a container that ended in the wrong moment may stay open for ever. So of one that has
        ended, silence ends it too; it may be the API server that is silent, so the rest is then asked for.
        """
        reading = asyncio.create_task(self._follow(pod))
        self._heard_at = time.monotonic()
        try:
            while True:
                await asyncio.wait([reading], timeout=1.0)
                if reading.done():
                    return reading.result()
                silent_s = time.monotonic() - self._heard_at
                if self._is_over(pod) and silent_s > _SILENCE_S and self._size < _CHUNK_BYTES:
                    break
        finally:
            reading.cancel()
        await asyncio.wait([reading])
        return await self._follow(pod, to_the_end=True)

    def _is_over(self, pod: str) -> bool:
        current = self._pod()
        return current is None or current["metadata"]["name"] != pod or _ended(current)

    async def _follow(self, pod: str, *, to_the_end: bool = False) -> tuple[int, bytes] | None:
        """Read to the stream's end; return a last line that has no newline, as it may be cut.

        Args:
            to_the_end: of what there is now; by default what comes is waited for.
        """
        path = self._cluster.api.path("pods", pod, sub="log")
        begin = self._read
        query: Json = {"container": CONTAINER, "follow": not to_the_end, "timestamps": True}
        if begin.ns:
            query["sinceTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin.ns // 10**9))
        passed = 0  # lines of the cursor's own time that were read before
        ns, goes_on = begin.ns, False
        limit_s = _ANSWER_S if to_the_end else None
        async with self._cluster.api.stream(
            path, silence_s=limit_s, piece_bytes=_PIECE_BYTES, **query
        ) as lines:
            self.trouble = ""
            async for line in lines:
                self._heard_at = time.monotonic()
                ns, text = (ns, line) if goes_on else _split(line, ns)
                goes_on = not line.endswith(b"\n") and len(line) == _PIECE_BYTES
                if ns < begin.ns:
                    continue
                if ns == begin.ns and passed < begin.count:
                    passed += 1
                    continue
                if not line.endswith(b"\n") and not goes_on:
                    return ns, text + b"\n"
                await self._keep(ns, text)
        return None

    async def _keep(self, ns: int, text: bytes) -> None:
        self._read = self._read.after(max(ns, self._read.ns))  # a clock that is set back repeats no line
        if self._skip:
            self._skip, text = max(0, self._skip - len(text)), text[self._skip :]
        self._lines.append(text)
        self._size += len(text)
        self.arrived.set()
        while self._size >= _CHUNK_BYTES:  # whoever records is slower: the cluster keeps the rest
            self._taken.clear()
            await self._taken.wait()


def _has_output(pod: Json) -> bool:
    return bool({"running", "terminated"} & (container_of(pod) or {}).get("state", {}).keys())


def _ended(pod: Json) -> bool:
    return is_over(pod) or terminated(pod) is not None


def _split(line: bytes, default_ns: int) -> tuple[int, bytes]:
    """Return the time (nanoseconds since the epoch) in front of a line, and the line."""
    found = _STAMP.match(line)
    if found is None:
        return default_ns, line
    second, fraction, sign, hours, minutes = found.groups()
    try:
        epoch = _epoch(second)
    except ValueError:  # the 31st of February: no stamp, but what the program printed
        return default_ns, line
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        epoch += -offset if sign == b"+" else offset
    return epoch * 10**9 + int((fraction or b"0").ljust(9, b"0")), line[found.end() :]


@lru_cache(maxsize=64)
def _epoch(second: bytes) -> int:
    return timegm(time.strptime(second.decode(), "%Y-%m-%dT%H:%M:%S"))
