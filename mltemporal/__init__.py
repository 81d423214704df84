"""Durable machine-learning jobs from a notebook cell.

Every public name is loaded on first use: ``import mltemporal`` costs next to nothing, and
Temporal's workflow sandbox, which runs this file again, stays free of client libraries.
"""

from importlib import import_module

from mltemporal.version import __version__

_HOME = {
    "MLTemporalError": "errors",
    "TrainingJob": "handles",
    "Script": "code",
    "checkpoint": "runtime",
    "log_artifact": "runtime",
    "report": "runtime",
    "track": "runtime",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mltemporal.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
