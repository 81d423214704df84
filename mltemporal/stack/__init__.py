"""The embedded services of one user: a Temporal dev server and a worker, kept by one supervisor.

`up` starts them or attaches to them, `connect` gives a client of the Temporal in use, embedded
or configured. Everything is loaded on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltemporal.stack.connection import connect as connect
    from mltemporal.stack.control import down as down
    from mltemporal.stack.control import state as state
    from mltemporal.stack.control import up as up
    from mltemporal.stack.overview import StackStatus as StackStatus
    from mltemporal.stack.overview import status as status
    from mltemporal.stack.record import StackState as StackState
    from mltemporal.stack.succession import check_version as check_version

# No module bears the name of a function: loading it would put the module in the function's place.
_HOME = {
    "StackState": "record",
    "StackStatus": "overview",
    "check_version": "succession",
    "connect": "connection",
    "down": "control",
    "state": "control",
    "status": "overview",
    "up": "control",
}

__all__ = ["StackState", "StackStatus", "check_version", "connect", "down", "state", "status", "up"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mltemporal.stack.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
