"""A graceful stop: SIGTERM becomes an exception in the main thread, so that user code can finish."""

from __future__ import annotations

import signal
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


def stop_on_sigterm() -> None:
    """Raise `Stopped` in the main thread at the first SIGTERM; later ones are ignored until the kill."""
    signal.signal(signal.SIGTERM, _stop)


def asked() -> bool:
    """Whether the job was asked to end; what fails from then on is a consequence."""
    return _asked


def raise_if_asked() -> None:
    """Raise `Stopped` where the stop was deferred, or user code caught it and went on."""
    if _asked:
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
    if _asked or _deferred:
        yield
        return
    with deferred():
        yield


def _stop(_signal: int, _frame: FrameType | None) -> None:
    global _asked  # noqa: PLW0603 - a signal comes to the process
    _asked = True
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
