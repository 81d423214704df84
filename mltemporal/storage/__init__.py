"""Datasets, code, models and artifacts by content, in a directory or in an S3 bucket."""

from mltemporal.storage.content import Storage, Written
from mltemporal.storage.hashing import sha256_of

__all__ = ["Storage", "Written", "sha256_of"]
