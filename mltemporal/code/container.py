"""A program in any language: ``train(dataset, Container("registry/trainer:2", command=["./train"]))``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """An image that trains by itself; it needs nothing of ours.

    It finds the table's URI in ``MLTEMPORAL_DATASET`` (parquet or CSV), parameters among its
    arguments (``--name=value``), and the storage's credentials in its environment. It reports by
    printing progress lines (``::mltemporal::{"step": 1, "metrics": {"loss": 0.5}}``), or
    ``metrics`` maps a metric's name to a regular expression with one group that finds it in the
    output. The metrics of its last report are its result.
    """

    image: str
    command: Sequence[object] = ()
    """What runs; empty: what the image runs by itself."""
    args: Sequence[object] = ()
    metrics: Mapping[str, str] | None = None
