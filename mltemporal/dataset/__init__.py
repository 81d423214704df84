"""Tables on their way from a notebook to a job: checked in the kernel, stored by content, loaded there."""

from mltemporal.dataset.checking import CheckedDataset, check_target, inspect
from mltemporal.dataset.loading import load, local_path
from mltemporal.dataset.validating import validate

__all__ = ["CheckedDataset", "check_target", "inspect", "load", "local_path", "validate"]
