"""A graceful stop: SIGTERM becomes an exception in the main thread, so that user code can finish."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

EXIT_CODE = 128 + signal.SIGTERM


class Stopped(SystemExit):
    """The job was asked to end; a `SystemExit`, so that ``except Exception`` lets it pass."""


_asked = False


def stop_on_sigterm() -> None:
    """Raise `Stopped` in the main thread at the first SIGTERM; later ones are ignored until the kill."""
    signal.signal(signal.SIGTERM, _stop)


def raise_if_asked() -> None:
    """Raise `Stopped` where user code caught it and went on to its end."""
    if _asked:
        raise Stopped(EXIT_CODE)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    global _asked  # noqa: PLW0603 - a signal comes to the process
    _asked = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
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
