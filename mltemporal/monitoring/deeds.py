"""What a round of mending did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Deeds:
    """Filled while a round mends."""

    done: list[str] = field(default_factory=list)
    """Sentences for a person."""
    failed: list[str] = field(default_factory=list)
    """What could not be done, and why."""
    ended: list[int] = field(default_factory=list)
    """Jobs whose end was recorded."""
