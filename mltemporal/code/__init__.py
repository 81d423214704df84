"""The code that trains, on its way from a notebook cell to a job: checked, shipped by value, restored."""

from mltemporal.code.capturing import BASELINE_PARAMETERS, CapturedCode, capture
from mltemporal.code.container import Container
from mltemporal.code.restoring import restore
from mltemporal.code.script import Script
from mltemporal.code.versions import check_environment

__all__ = [
    "BASELINE_PARAMETERS",
    "CapturedCode",
    "Container",
    "Script",
    "capture",
    "check_environment",
    "restore",
]
