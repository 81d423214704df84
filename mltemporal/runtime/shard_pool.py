"""The processes that work on a job's shards side by side, from the side of the job's own process."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.runtime import reporting
from mltemporal.runtime.cores import thread_variables
from mltemporal.runtime.failure import FailedElsewhere
from mltemporal.runtime.shard_process import Told
from mltemporal.runtime.shard_progress import REPORT_EVERY_S, Rows
from mltemporal.specs.data import Shard
from mltemporal.specs.encoding import decode, encode

Done = Callable[[Shard, dict[str, Any]], None]

TRIES = 3
"""How often a shard is begun before it counts as the reason why its processes are killed."""
_GRACE_S = 5.0


class ShardPool:
    """Works on shards in processes of this one's group, which end when this one does.

    Args:
        work: ``package.module:function`` of the shard's work.
        processes: how many at once.
        threads: how many each may use.
    """

    def __init__(self, work: str, phase: str, *, processes: int, threads: int) -> None:
        self._command = [sys.executable, "-m", "mltemporal.runtime.shard_process", work, phase]
        self._processes = processes
        self._env = {**os.environ, **thread_variables(threads)}
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._begun: Counter[int] = Counter()

    def run(self, shards: Iterable[Shard], rows: Rows, done: Done) -> None:
        """Work on ``shards``, call ``done`` for each as it ends; a process that is killed is replaced.

        Raises:
            FailedElsewhere: the work of a shard raised; the first error ends the others.
            InvalidRequest: the processes of one shard were killed again and again.
        """
        waiting = deque(shards)
        try:
            while waiting or any(worker.shard for worker in self._workers):
                self._give_out(waiting)
                heard = [key.data for key, _ in self._selector.select(REPORT_EVERY_S)]
                # Its pipe may be held open by what it has left behind: then no end of it is ever read.
                dead = [each for each in self._workers if each not in heard and each.is_over]
                for worker in heard:
                    self._hear(worker, waiting, rows, done)
                for worker in dead:
                    self._replace(worker, waiting)
                rows.tell()
            for worker in self._workers:
                worker.finish()
        finally:
            self._end()

    def _give_out(self, waiting: deque[Shard]) -> None:
        while waiting:
            free = next((worker for worker in self._workers if worker.shard is None), None)
            if free is None:
                if len(self._workers) >= self._processes:
                    return
                free = _Worker(self._command, self._env)
                self._workers.append(free)
                self._selector.register(free.answers, selectors.EVENT_READ, free)
            shard = waiting.popleft()
            self._begun[shard.index] += 1
            free.order(shard)

    def _hear(
        self,
        worker: _Worker,
        waiting: deque[Shard],
        rows: Rows,
        done: Done,
    ) -> None:
        told = worker.read()
        if told is None:
            self._replace(worker, waiting)
            return
        for each in told:
            shard = worker.shard
            if each.failure is not None:
                raise FailedElsewhere(each.failure)
            if each.result is None:
                rows.current(each.index, each.rows)
            elif shard is not None:
                worker.shard = None
                done(shard, each.result)

    def _replace(self, worker: _Worker, waiting: deque[Shard]) -> None:
        """Take a dead process out; its shard comes first again."""
        self._selector.unregister(worker.answers)
        self._workers.remove(worker)
        how = worker.ended()
        shard = worker.shard
        if shard is None:
            return
        if self._begun[shard.index] >= TRIES:
            why = "memory may have run out" if how == signal.SIGKILL.name else "the log may say why"
            raise InvalidRequest(
                f"{_words(shard)} was begun {TRIES} times and each time its process ended ({how}): {why}",
                'give the job more memory, let it use fewer cores (resources={"cpu": 1}: fewer processes at '
                "once), or cut the dataset into more shards",
            )
        reporting.note(f"a process that worked on {_words(shard)} ended ({how}); it is done again")
        waiting.appendleft(shard)

    def _end(self) -> None:
        """Ask those that still run to end, and see to it."""
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + _GRACE_S
        for worker in self._workers:
            worker.kill(max(0.0, deadline - time.monotonic()))
        self._workers.clear()
        self._selector.close()


class _Worker:
    """One process, and the shard that it works on."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.shard: Shard | None = None
        self.answers, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs)], stdin=subprocess.PIPE, env=env, pass_fds=(theirs,)
            )
        finally:
            os.close(theirs)
        self._unread = b""

    def order(self, shard: Shard) -> None:
        self.shard = shard
        self._write(f"{encode(shard)}\n".encode())

    def finish(self) -> None:
        """Tell that there is no more to do; one that does not end of itself is ended by `kill`."""
        self._write(b"\n")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def read(self) -> list[Told] | None:
        """Return what was told since the last time; None where the process has ended."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [decode(line, Told) for line in lines]

    def ended(self) -> str:
        """Wait for the end and return how it was, in words."""
        code = self._process.wait()
        self._close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def terminate(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self, within_s: float) -> None:
        """Wait for the end, and make it one."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended: reading its answers will tell

    def _close(self) -> None:
        os.close(self.answers)
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            return  # an order that it never read


def _words(shard: Shard) -> str:
    if shard.rows < 0 or shard.first_row < 0:
        return f"shard {shard.index}"
    last = shard.first_row + shard.rows
    return f"shard {shard.index} (rows {shard.first_row:,} to {last:,} of the dataset)"
