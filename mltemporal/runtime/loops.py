"""The loop that `track` counts, and where a resumed one goes on: what `track` and `checkpoint` share."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass
class Loop:
    """The outermost tracked loop that runs now."""

    number: int
    """The how-manyth of this process, from 1."""
    done: int
    total: int | None
    inside: bool = False
    """Whether the code is within an item, which is not done yet."""
    saves: int = 0
    """Checkpoints that were saved within this item."""
    often: bool = False
    """Whether an item was ever saved in more than once: then a checkpoint does not mean a whole item."""

    def saved(self) -> int | None:
        """Count a checkpoint; returns how many items it includes, None where that cannot be said.

        One that is saved within an item includes it: it stands at the end of the loop's body.
        """
        self.saves += self.inside
        self.often = self.often or self.saves > 1
        return None if self.often else self.done + self.inside


@dataclass(frozen=True)
class Position:
    """Where a checkpoint was saved: so many items of that loop were done."""

    number: int
    done: int
    total: int | None


_current: Loop | None = None
_begun = 0
_loaded: Position | None = None


def current() -> Loop | None:
    """Return the loop that runs now; None outside."""
    return _current


def begin(done: int, total: int | None) -> Loop:
    """Begin an outermost loop."""
    global _current, _begun  # noqa: PLW0603 - one loop is tracked at a time
    _begun += 1
    _current = Loop(number=_begun, done=done, total=total)
    return _current


def end() -> None:
    """The loop has ended."""
    global _current  # noqa: PLW0603
    _current = None


def loaded(position: Position | None) -> None:
    """Note the position of the checkpoint that the code has just loaded."""
    global _loaded  # noqa: PLW0603
    _loaded = position


def resumed_at(total: int | None) -> int:
    """Return how many items of the loop that begins now are in the checkpoint that was loaded; else 0.

    Asked before `begin`. Only the loop in which it was saved goes on there, and only once.
    """
    if _loaded is None or _loaded.number != _begun + 1 or _loaded.total != total:
        return 0
    done = _loaded.done
    loaded(None)
    return done


def _after_fork() -> None:
    loaded(None)
    end()


os.register_at_fork(after_in_child=_after_fork)
