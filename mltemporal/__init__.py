"""Durable machine-learning jobs from a notebook cell.

Every public name is loaded on first use: ``import mltemporal`` costs next to nothing, and
Temporal's workflow sandbox, which runs this file again, stays free of client libraries.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mltemporal.version import __version__ as __version__

if TYPE_CHECKING:
    from mltemporal import steps as steps
    from mltemporal.api import train as train
    from mltemporal.batch import predict as predict
    from mltemporal.batch import preprocess as preprocess
    from mltemporal.code.container import Container as Container
    from mltemporal.code.script import Script as Script
    from mltemporal.connection import connect as connect
    from mltemporal.connection import shutdown as shutdown
    from mltemporal.connection import status as status
    from mltemporal.deployments.board import VersionBoard as VersionBoard
    from mltemporal.deployments.board import versions as versions
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
    from mltemporal.handles import InferenceJob as InferenceJob
    from mltemporal.handles import PreprocessingJob as PreprocessingJob
    from mltemporal.handles import TrainingJob as TrainingJob
    from mltemporal.launching import DryRun as DryRun
    from mltemporal.lookup import datasets as datasets
    from mltemporal.lookup import history as history
    from mltemporal.lookup import job as job
    from mltemporal.lookup import jobs as jobs
    from mltemporal.lookup import models as models
    from mltemporal.monitors import HealthBoard as HealthBoard
    from mltemporal.monitors import Monitor as Monitor
    from mltemporal.monitors import health as health
    from mltemporal.monitors import monitor as monitor
    from mltemporal.notebook.nest import nest as nest
    from mltemporal.results import InferenceResult as InferenceResult
    from mltemporal.results import PreprocessingResult as PreprocessingResult
    from mltemporal.results import TrainingResult as TrainingResult
    from mltemporal.runs import RunHistory as RunHistory
    from mltemporal.runtime import checkpoint as checkpoint
    from mltemporal.runtime.artifacts import log_artifact as log_artifact
    from mltemporal.runtime.control import should_stop as should_stop
    from mltemporal.runtime.params import params as params
    from mltemporal.runtime.reporting import report as report
    from mltemporal.runtime.tracking import track as track
    from mltemporal.tables import Dataset as Dataset

_NAMES = {
    "api": "train",
    "batch": "predict preprocess",
    "code.container": "Container",
    "code.script": "Script",
    "connection": "connect shutdown status",
    "deployments.board": "VersionBoard versions",
    "errors": "CorruptObject InvalidDataset InvalidRequest InvalidTrainer JobCancelled JobFailed "
    "MLTemporalError NotFound ServiceUnavailable StackError TrainingInterrupted VersionMismatch",
    "handles": "InferenceJob PreprocessingJob TrainingJob",
    "launching": "DryRun",
    "lookup": "datasets history job jobs models",
    "monitors": "HealthBoard Monitor health monitor",
    "runs": "RunHistory",
    "notebook.nest": "nest",
    "results": "InferenceResult PreprocessingResult TrainingResult",
    "runtime.artifacts": "log_artifact",
    "runtime.control": "should_stop",
    "runtime.params": "params",
    "runtime.reporting": "report",
    "runtime.tracking": "track",
    "tables": "Dataset",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

_MODULES = {"checkpoint": "runtime.checkpoint", "steps": "steps"}
"""Modules whose functions are called by the module's name: ``checkpoint.save``."""

__all__ = sorted(["__version__", *_MODULES, *_HOME])  # noqa: PLE0605  (a test compares it with the imports above)


_VERBS = ("api", "batch", "lookup", "monitors")
"""Where the verbs are: who uses one is about to see a job."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"mltemporal.{_MODULES[name]}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"mltemporal.{_HOME[name]}"), name)
    if _HOME[name] in _VERBS and "IPython" in sys.modules:
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
