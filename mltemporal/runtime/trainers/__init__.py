"""What can train: one module a kind, each with one function ``train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from mltemporal.errors import InvalidTrainer
from mltemporal.runtime.context import Job

KINDS = ("baseline", "estimator", "function", "script")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training gave."""

    model: Any = None
    """A fitted model, or None."""
    task: str | None = None
    """``classification`` or ``regression``, where known."""
    features: tuple[str, ...] = ()
    """Columns that ``model.predict`` takes, in order; empty where unknown."""
    value: Any = None
    """What a function returned, when it is no model."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The final evaluation."""


Trainer = Callable[[Job], Trained]
"""Runs one training to its end; what it raises is the failure that the user sees."""


def trainer_for(kind: str) -> Trainer:
    """Return the trainer of a kind; loads its module now, and nothing of the others.

    Raises:
        InvalidTrainer: there is no such kind.
    """
    if kind not in KINDS:
        raise InvalidTrainer(f"there is no trainer of kind {kind!r}", f"use one of {', '.join(KINDS)}")
    trainer: Trainer = import_module(f"mltemporal.runtime.trainers.{kind}").train
    return trainer
