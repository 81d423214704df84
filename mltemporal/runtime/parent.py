"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import os
import signal
import sys

_DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends; what this one forks goes on.

    The parent is the thread that started it, which must last as long as its process. Only on Linux:
    elsewhere, and where the parent ends before this call, the end of the pipe from it has to say so.
    """
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
