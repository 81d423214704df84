"""A job's shards, side by side in processes of this machine and in the ranks of a cluster's job.

A shard writes its output, whole or not at all and under a name that is the same in every attempt, and
then the note ``<phase>/<index>`` says that it is done. So whatever is killed, and whenever: the next
attempt does the shards that have no note, and a shard whose output stood already writes it anew.
"""

from __future__ import annotations

import atexit
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, TypeVar

from mltemporal.dataset.files import Files
from mltemporal.dataset.shards import opened_dataset
from mltemporal.errors import InvalidRequest
from mltemporal.runtime import reporting
from mltemporal.runtime.context import Job
from mltemporal.runtime.cores import cores, threads
from mltemporal.runtime.shard_pool import ShardPool
from mltemporal.runtime.shard_process import do_shard, note_of, work_named
from mltemporal.runtime.shard_progress import Rows, advance, advancing
from mltemporal.specs.data import Shard
from mltemporal.specs.encoding import encode

__all__ = ["advance", "await_note", "cores", "dataset_of", "run_shards", "threads"]

T = TypeVar("T")

INLINE_ROWS = 250_000
INLINE_BYTES = 16 << 20
"""Fewer rows (or bytes, where nobody has counted the rows) are begun in the job's own process, where no
number of cores was asked for: another process takes longer to start …"""
LONG_S = 4.0
"""… unless they turn out to take longer than this, in seconds."""

_LOOK_EVERY_S = 2.0
_READERS = 16


def run_shards(
    job: Job,
    shards: Sequence[Shard],
    work: str,
    *,
    total_rows: int | None,
    phase: str = "shards",
    workers: int | None = None,
) -> list[dict[str, Any]]:
    """Do the shards that no earlier attempt has done, and return what was noted for each, in their order.

    ``work`` names a function ``(job, shard) -> dict`` as ``package.module:function``; its result is
    JSON-able and has ``rows``, and it may call `advance` as it goes. A process that is killed is replaced
    and its shard done again, three times at most; an error of the work ends the job with its traceback.
    Of several ranks each does its share; the first one waits for the others, which return an empty list.

    Args:
        total_rows: of all shards, for the progress; None where unknown.
        phase: names the notes, where a job has shards of several kinds.
        workers: processes at once; None: as many as the job has cores, and none where there is little to do.

    Raises:
        FailedElsewhere: the work raised in another process; `failure_of` tells as if it were here.
        InvalidRequest: a shard's processes were killed again and again, or an earlier attempt had others.
        ServiceUnavailable: storage does not answer.
    """
    state = _State(job, shards, phase, Rows(total_rows))
    state.check_plan()
    done = state.noted()
    if job.rank == 0:
        if done:
            reporting.note(f"resumed: {len(done):,} of {len(shards):,} shards were done already")
        state.collect(done)
    state.rows.tell(now=True)
    nodes = max(1, job.spec.pod.nodes)
    mine = [shard for shard in shards if shard.index not in done and shard.index % nodes == job.rank]
    processes = min(workers or cores(job), len(mine))
    if processes < 2 or (workers is None and job.spec.resources.cpu is None and _few(job, mine)):
        mine = _run_here(state, mine, work, alone=processes < 2)
        processes = min(processes, len(mine))
    if mine:
        pool = ShardPool(work, phase, processes=processes, threads=max(1, cores(job) // processes))
        pool.run(mine, state.rows, state.finished)
    state.rows.tell(now=True)
    if job.rank:
        return []
    state.await_others()
    state.rows.tell(now=True)
    return [state.results[shard.index] for shard in shards]


def await_note(job: Job, name: str, kind: type[T]) -> T:
    """Return the job's note ``name`` as soon as the first rank has written it.

    Where that rank fails instead, the job ends and this process with it.

    Raises:
        ServiceUnavailable: storage does not answer.
    """
    while (note := job.storage.get_note(job.key, name, kind)) is None:
        time.sleep(_LOOK_EVERY_S)  # the other process is on another machine: nothing can wake us
    return note


@lru_cache(maxsize=1)
def dataset_of(job: Job) -> Files:
    """Return the files of the job's dataset, found or downloaded and verified once a process.

    Raises:
        The same as `opened_dataset`.
    """
    opened = ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(opened_dataset(job.spec.dataset, job.storage))


def _few(job: Job, shards: Sequence[Shard]) -> bool:
    if any(shard.rows < 0 for shard in shards):
        return dataset_of(job).size_bytes <= INLINE_BYTES
    return sum(shard.rows for shard in shards) <= INLINE_ROWS


def _run_here(state: _State, shards: Sequence[Shard], work: str, *, alone: bool) -> list[Shard]:
    """Do shards in this process; unless it is ``alone``, return the rest where they turn out to take long."""
    started = time.monotonic()
    for count, shard in enumerate(shards):
        took = time.monotonic() - started
        if not alone and count and took / count * (len(shards) - count) > LONG_S:
            return list(shards[count:])

        def tell(done: int, shard: Shard = shard) -> None:
            state.rows.current(shard.index, done)
            state.rows.tell()

        with advancing(tell):
            state.finished(shard, do_shard(state.job, shard, work_named(work), state.phase))
        state.rows.tell()
    return []


class _State:
    """Which of a job's shards are done, with what result."""

    def __init__(self, job: Job, shards: Sequence[Shard], phase: str, rows: Rows) -> None:
        self.job = job
        self.phase = phase
        self.rows = rows
        self.results: dict[int, dict[str, Any]] = {}
        self._shards = shards

    def check_plan(self) -> None:
        """Note how the dataset is cut; a version that cuts it otherwise must not go on with these notes."""
        digest = hashlib.sha256(encode(list(self._shards)).encode()).hexdigest()
        name = f"{self.phase}-plan"
        noted = self.job.storage.get_note(self.job.key, name, str)
        if noted is None:
            self.job.storage.put_note(self.job.key, name, digest)
        elif noted != digest:
            raise InvalidRequest(
                "an earlier attempt cut the dataset into other shards: it ran another version of mltemporal",
                "start the job anew, with force=True",
            )

    def noted(self) -> set[int]:
        """Return which shards have a note."""
        names = set(self.job.storage.note_names(self.job.key, self.phase))
        return {shard.index for shard in self._shards if note_of(self.phase, shard) in names}

    def collect(self, indices: set[int]) -> None:
        """Read the notes of shards that are done."""
        shards = [shard for shard in self._shards if shard.index in indices]
        if not shards:
            return
        with ThreadPoolExecutor(min(_READERS, len(shards))) as pool:
            for shard, result in zip(shards, pool.map(self._read, shards), strict=True):
                self.finished(shard, result)

    def finished(self, shard: Shard, result: dict[str, Any]) -> None:
        """Take in what was noted for a shard."""
        self.results[shard.index] = result
        self.rows.done(shard.index, int(result["rows"]))

    def await_others(self) -> None:
        """Wait for the shards of the other ranks; when one of them fails, the whole job is ended."""
        while len(self.results) < len(self._shards):
            started = time.monotonic()
            self.collect(self.noted() - self.results.keys())
            self.rows.tell()
            if len(self.results) < len(self._shards):
                time.sleep(max(_LOOK_EVERY_S, 5 * (time.monotonic() - started)))

    def _read(self, shard: Shard) -> dict[str, Any]:
        result = self.job.storage.get_note(self.job.key, note_of(self.phase, shard), dict[str, Any])
        assert result is not None
        return result
