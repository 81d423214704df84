"""What a running process is asked for, and what it answers: notes of its job in storage.

The worker writes ``orders``; the process, which looks for it while user code runs, writes
``<attempt>/hears`` as soon as it listens and ``<attempt>/answers`` when it has done something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ORDERS = "orders"
REWINDS = "rewinds"
EXTENDED = "extended"
NEWEST = "newest"
"""The note with the number of the attempt that may leave a result; where there is none, it is the first."""

LONGEST_PARAMS_BYTES = 4 << 10
"""All that ``set`` may give to a job, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One thing that the process is asked for."""

    id: str
    verb: str
    """``checkpoint_now``, ``stop_early`` or ``set``."""
    by: str = ""
    attempt: int = 0
    """To which attempt it was said first."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The note ``orders``: what holds for the attempt that runs, and the ones after it."""

    params: dict[str, Any] = field(default_factory=dict)
    """All values that were set, by all attempts."""
    given: tuple[Order, ...] = ()
    """Newest last; none of those before the last launch, retry or rewind."""


@dataclass(frozen=True, kw_only=True)
class Extended:
    """The note ``extended``: the whole time that `extend` gave last; it holds until a retry or rewind."""

    timeout_s: float
    attempt: int
    """The one that ran."""


@dataclass(frozen=True, kw_only=True)
class Hears:
    """The note ``<attempt>/hears``: what the process can do while it runs."""

    verbs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    """The names that ``set`` may give."""
    saves: bool = False
    """Whether it can save its state at any time (`checkpoint.on_stop`)."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of an order; the note ``<attempt>/answers`` has one by each order's id."""

    words: str
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rewind:
    """One entry of the note ``rewinds``: where the attempts after ``after`` begin."""

    after: int
    """The last attempt that was made before."""
    to: str
    """``validated`` or ``fitted``, or ``step`` where it is a checkpoint."""
    step: int | None = None
