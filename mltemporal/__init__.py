"""Durable machine-learning jobs from a notebook cell.

Every public name is loaded on first use: ``import mltemporal`` costs next to nothing, and
Temporal's workflow sandbox, which runs this file again, stays free of client libraries.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mltemporal.version import __version__ as __version__

if TYPE_CHECKING:
    from mltemporal.api import DryRun as DryRun
    from mltemporal.api import datasets as datasets
    from mltemporal.api import history as history
    from mltemporal.api import job as job
    from mltemporal.api import jobs as jobs
    from mltemporal.api import models as models
    from mltemporal.api import train as train
    from mltemporal.code import Container as Container
    from mltemporal.code import Script as Script
    from mltemporal.connection import connect as connect
    from mltemporal.connection import shutdown as shutdown
    from mltemporal.connection import status as status
    from mltemporal.errors import CorruptObject as CorruptObject
    from mltemporal.errors import InvalidDataset as InvalidDataset
    from mltemporal.errors import InvalidRequest as InvalidRequest
    from mltemporal.errors import InvalidTrainer as InvalidTrainer
    from mltemporal.errors import JobCancelled as JobCancelled
    from mltemporal.errors import JobFailed as JobFailed
    from mltemporal.errors import MLTemporalError as MLTemporalError
    from mltemporal.errors import NotFound as NotFound
    from mltemporal.errors import ServiceUnavailable as ServiceUnavailable
    from mltemporal.errors import StackError as StackError
    from mltemporal.errors import TrainingInterrupted as TrainingInterrupted
    from mltemporal.errors import VersionMismatch as VersionMismatch
    from mltemporal.handles import TrainingJob as TrainingJob
    from mltemporal.notebook.nest import nest as nest
    from mltemporal.results import TrainingResult as TrainingResult
    from mltemporal.runs import RunHistory as RunHistory
    from mltemporal.runtime import checkpoint as checkpoint
    from mltemporal.runtime import log_artifact as log_artifact
    from mltemporal.runtime import report as report
    from mltemporal.runtime import track as track

_NAMES = {
    "api": "DryRun datasets history job jobs models train",
    "code": "Container Script",
    "connection": "connect shutdown status",
    "errors": "CorruptObject InvalidDataset InvalidRequest InvalidTrainer JobCancelled JobFailed "
    "MLTemporalError NotFound ServiceUnavailable StackError TrainingInterrupted VersionMismatch",
    "handles": "TrainingJob",
    "runs": "RunHistory",
    "notebook.nest": "nest",
    "results": "TrainingResult",
    "runtime": "checkpoint log_artifact report track",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(["__version__", *_HOME])  # noqa: PLE0605  (a test compares it with the imports above)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"mltemporal.{_HOME[name]}"), name)
    if _HOME[name] == "api" and "IPython" in sys.modules:
        _show_jobs_here()
    return value


def _show_jobs_here() -> None:
    """Let handles show themselves in a notebook also where nobody ran ``%load_ext mltemporal``."""
    from IPython.core.getipython import get_ipython

    from mltemporal import handles

    ip = get_ipython()
    if ip is not None and handles.presenter() is None:
        from mltemporal.notebook.presenter import install

        install(ip)


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(ip: Any) -> None:
    """``%load_ext mltemporal``: bring up the services, and put the verbs into the notebook."""
    from mltemporal.notebook import extension

    extension.load(ip)


def unload_ipython_extension(ip: Any) -> None:
    """``%unload_ext mltemporal``: take the names out again; services and jobs go on."""
    from mltemporal.notebook import extension

    extension.unload(ip)
