"""Preparing data: steps checked in the kernel, fitted over all rows, applied shard by shard by DuckDB."""

from mltemporal.preparation.applying import apply_shard
from mltemporal.preparation.checking import parse_steps
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.fitting import fit
from mltemporal.preparation.plan import Plan
from mltemporal.preparation.transforming import transform

__all__ = ["Fitted", "Plan", "apply_shard", "fit", "parse_steps", "transform"]
