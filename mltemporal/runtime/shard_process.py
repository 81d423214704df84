"""One of the processes that work on a job's shards: takes orders on standard input, answers on a pipe.

``python -m mltemporal.runtime.shard_process <work> <phase> <descriptor>``. An order is a line with a
`Shard`, an empty line the end. A process of its own, so that one that is killed (for its memory, say)
takes nothing with it; started anew and not forked, since threads of OpenMP and DuckDB survive no fork.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mltemporal.runtime import context, parent, reporting, stopping
from mltemporal.runtime.context import Job
from mltemporal.runtime.failure import failure_of
from mltemporal.runtime.shard_progress import advancing
from mltemporal.specs.data import Shard
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.results import RunFailure

ShardWork = Callable[[Job, Shard], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a process says of its shard: that it is done, how far it is, or why it failed."""

    index: int
    rows: int = 0
    result: dict[str, Any] | None = None
    failure: RunFailure | None = None


def work_named(name: str) -> ShardWork:
    """Return the function that ``package.module:function`` names."""
    module, _, function = name.partition(":")
    work: ShardWork = getattr(import_module(module), function)
    return work


def note_of(phase: str, shard: Shard) -> str:
    """Return the name of the note that says that a shard is done."""
    return f"{phase}/{shard.index:07d}"


def do_shard(job: Job, shard: Shard, work: ShardWork, phase: str) -> dict[str, Any]:
    """Do a shard and note that it is done; what it writes stands before the note does."""
    result = work(job, shard)
    with stopping.uninterrupted():
        job.storage.put_note(job.key, note_of(phase, shard), result)
    return result


def main(argv: list[str]) -> int:
    """Do what is ordered until the end is told; returns the exit code. Ends as soon as its parent does."""
    name, phase, descriptor = argv
    parent.end_with_parent()
    reporting.open_output()
    reporting.write_whole_lines()
    stopping.stop_on_sigterm()
    orders: queue.SimpleQueue[Shard | None] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    job = context.current()
    assert job is not None
    work: ShardWork | None = None

    def tell(told: Told) -> None:
        _write(int(descriptor), f"{encode(told)}\n".encode())

    while (shard := orders.get()) is not None:
        index = shard.index
        try:
            work = work or work_named(name)
            with advancing(lambda rows, index=index: tell(Told(index=index, rows=rows))):  # type: ignore[misc]
                result = do_shard(job, shard, work, phase)
        except stopping.Stopped:
            return stopping.EXIT_CODE
        except BaseException as error:
            if stopping.asked():
                return stopping.EXIT_CODE
            tell(Told(index=index, failure=failure_of(error)))
            return 1
        tell(Told(index=index, result=result))
    return 0


def _read_orders(orders: queue.SimpleQueue[Shard | None]) -> None:
    # Unbuffered: an interpreter that ends while another thread holds the buffer's lock aborts.
    for line in open(0, "rb", buffering=0, closefd=False):  # noqa: SIM115
        if not line.strip():
            orders.put(None)
            return
        orders.put(decode(line, Shard))
    os._exit(1)  # the pipe has closed without the end being told: the parent is gone


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
