"""Tables on their way from a notebook to a job: checked in the kernel, stored by content, loaded there."""

from mltemporal.datasets.checking import CheckedDataset, check_target, inspect
from mltemporal.datasets.loading import load, local_path
from mltemporal.datasets.validating import validate

__all__ = ["CheckedDataset", "check_target", "inspect", "load", "local_path", "validate"]
