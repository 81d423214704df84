"""Running a piece of work again when the connection was lost in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mltemporal.database.explaining import passes
from mltemporal.errors import ServiceUnavailable

PATIENCE_S = 8.0
"""How long it is tried again: a server that is restarted, or that fails over, is back sooner."""

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0

_P = ParamSpec("_P")
_R = TypeVar("_R")


def retried(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have ``method`` run again, for `PATIENCE_S` at most, where it met what passes by itself.

    Where the connection is lost during the commit, nobody knows whether it took place. So this
    is for a method of one transaction that changes nothing, and returns what is so, when its change
    is there already: it inserts by a key of its caller's, or updates on a condition.
    """

    @wraps(method)
    def patiently(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        deadline = time.monotonic() + PATIENCE_S
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return method(*args, **kwargs)
            except ServiceUnavailable as error:
                if not passes(error.__cause__) or time.monotonic() + wait_s > deadline:
                    raise
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    return patiently
