"""The version of this package; kernel, worker and job compare it."""

__version__ = "0.1.0"
