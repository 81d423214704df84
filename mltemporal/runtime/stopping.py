"""A graceful stop: SIGTERM becomes an exception in the main thread, so that user code can finish.

It is raised at once, wherever the code stands; unless the code can save its state, or saves it often. Then
it goes on to the end of its step (see `control.heed`) or to its next checkpoint, for half its grace at most.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

EXIT_CODE = 128 + signal.SIGTERM


class Stopped(SystemExit):
    """The job was asked to end; a `SystemExit`, so that ``except Exception`` lets it pass."""


_asked = False
_deferred = False
_waiting = False
_patience: Callable[[], float] | None = None
_timer: threading.Timer | None = None


def stop_on_sigterm() -> None:
    """Raise `Stopped` in the main thread at the first SIGTERM; later ones are ignored until the kill."""
    signal.signal(signal.SIGTERM, _stop)


def asked() -> bool:
    """Whether the job was asked to end; what fails from then on is a consequence."""
    return _asked


def raise_if_asked() -> None:
    """Raise `Stopped` where the stop was deferred, or user code caught it and went on."""
    if _asked:
        end_waiting()


def wait_for(patience: Callable[[], float]) -> None:
    """Ask ``patience``, when a stop comes, for how many seconds the code may go on to save its state."""
    global _patience  # noqa: PLW0603
    _patience = patience


def waiting() -> bool:
    """Whether the job was asked to end, and goes on until its state is saved."""
    return _waiting


def end_waiting() -> None:
    """Raise `Stopped`; what comes after it is not interrupted again."""
    global _waiting  # noqa: PLW0603
    _waiting = False
    if _timer is not None:
        _timer.cancel()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped(EXIT_CODE)


@contextmanager
def deferred() -> Iterator[None]:
    """Let a stop wait until the block calls `raise_if_asked` or ends.

    For foreign code: an exception that appears between any two of its lines may be swallowed or
    turned into another (seen: NumPy makes a ValueError of it in the middle of a boosting step).
    """
    global _deferred  # noqa: PLW0603
    _deferred = True
    try:
        yield
    finally:
        _deferred = False
    raise_if_asked()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a stop wait until what the block writes is written; after the stop, write on.

    A process that ends in the middle of an upload may leave an empty object with servers that
    do not compare lengths.
    """
    if (_asked and not _waiting) or _deferred:
        yield
        return
    with deferred():
        yield


def _stop(_signal: int, _frame: FrameType | None) -> None:
    global _asked, _timer, _waiting  # noqa: PLW0603 - a signal comes to the process
    first, _asked = not _asked, True
    patience_s = _patience() if first and _patience is not None and not _deferred else 0.0
    if patience_s > 0:
        _waiting = True
        _timer = threading.Timer(patience_s, os.kill, (os.getpid(), signal.SIGTERM))
        _timer.daemon = True
        _timer.start()
        return
    _waiting = False
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not _deferred:
        raise Stopped(EXIT_CODE)


def run_users_code(call: Callable[[], T]) -> T | None:
    """Return what ``call`` returns; None where it ends itself by ``sys.exit(0)``, which is success."""
    try:
        return call()
    except Stopped:
        raise
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            return None
        raise
