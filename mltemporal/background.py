"""One background event loop for the kernel's side: plain calls outside, async inside.

A notebook's own loop stops while a cell blocks, and a Temporal client belongs to the loop that
it was made on. So everything of ours that must go on lives on this loop, in a daemon thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_BEAT_S = 0.25
"""How long an interrupt of a waiting cell may take to be noticed."""

_lock = threading.Lock()


def loop() -> asyncio.AbstractEventLoop:
    """Return the loop; the first call starts its thread."""
    with _lock:  # two first calls at once must not make two loops
        return _loop()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="mltemporal", daemon=True).start()
    return made


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Start the coroutine on the background loop; returns at once, from any thread.

    It starts in an empty context: in the calling cell's, whatever it displays later would be
    taken for that cell's output.
    """
    return contextvars.Context().run(asyncio.run_coroutine_threadsafe, coroutine, loop())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine on the background loop and return its result.

    An interrupt (Ctrl-C) ends the waiting; the coroutine goes on.
    """
    return wait(submit(coroutine), None)


def wait(future: Future[T], timeout: float | None) -> T:
    """Wait for the future in beats, so that an interrupt is noticed soon.

    Raises:
        TimeoutError: ``timeout`` seconds were over; what the future stands for goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _BEAT_S if deadline is None else deadline - time.monotonic()
        try:
            return future.result(max(0.0, min(_BEAT_S, left)))
        except TimeoutError:
            if future.done():  # in this very moment, or with a TimeoutError of its own
                return future.result()
            if left <= 0:
                raise
