"""The loop that `track` counts, and where a resumed one goes on: what `track` and `checkpoint` share."""

from __future__ import annotations

import dis
import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any


@dataclass(frozen=True)
class Position:
    """Where a checkpoint was saved."""

    number: int
    """Of which loop: the how-manyth of its process, from 1."""
    done: int
    """So many items were done."""
    total: int | None
    whole: bool = True
    """Whether they are all that the checkpoint holds; else it may stand in the middle of the next."""
    place: str = ""
    """Where in the loop's body a save is known to be the only one of an item."""
    item: str = ""
    """The last item that it holds something of, as `told` tells it."""

    def fits(self, items: Sequence[Any]) -> bool:
        """Whether the item stands where it stood."""
        at = self.done - 1 if self.whole else self.done
        return at < 0 or not self.item or (at < len(items) and told(items[at]) == self.item)


@dataclass
class Loop:
    """The outermost tracked loop that runs now."""

    number: int
    """The how-manyth of this process, from 1."""
    done: int
    total: int | None
    place: str = ""
    """See `Position`."""
    item: Any = None
    frame: FrameType | None = None
    """Where the loop's body runs."""
    head: int = -1
    """Where in its code the loop asks for the next item."""
    inside: bool = False
    """Whether the code is within an item, which is not done yet."""
    saves: int = 0
    """Checkpoints that were saved within this item."""
    often: bool = False
    """Whether an item was ever saved in more than once: then a checkpoint does not mean a whole item."""
    _saved_at: str = ""
    _confirm: Callable[[], None] | None = None

    def saved(self) -> Position | None:
        """Count a checkpoint; returns its position, None where that cannot be said.

        One that is saved within an item holds the whole of it where it is the last thing of the body. So it
        counts as whole once an item in which it was saved there, and only there, has ended.
        """
        if not self.inside:
            return None if self.often else self._position(self.done, whole=True)
        self.saves += 1
        place = _place(self.frame, self.head)
        self.often = self.often or self.saves > 1 or not place
        self._saved_at, self._confirm = place, None
        if self.often:
            return None
        whole = place == self.place
        return self._position(self.done + whole, whole=whole)

    def once_ended(self, confirm: Callable[[], None]) -> None:
        """Call ``confirm`` when the item ends, unless a further checkpoint is saved in it."""
        self._confirm = confirm

    def begin_item(self, item: Any, frame: FrameType | None) -> None:
        """The code begins with an item, in the frame whose loop asked for it."""
        self.item, self.frame, self.inside, self.saves = item, frame, True, 0
        self.head = -1 if frame is None else frame.f_lasti

    def end_item(self) -> None:
        """The code has gone through the item's whole body."""
        self.inside, self.frame = False, None
        self.done += 1
        confirm, self._confirm = self._confirm, None
        if self.saves == 1 and not self.often:
            self.place = self._saved_at
            if confirm is not None:
                confirm()

    def position(self) -> Position:
        """Return where a checkpoint stands that holds the items that are done."""
        return self._position(self.done, whole=True)

    def _position(self, done: int, *, whole: bool) -> Position:
        item = told(self.item) if done or not whole else ""
        return Position(self.number, done, self.total, whole, self.place, item)


def told(item: Any) -> str:
    """Return what tells an item from others, in any process: a few hexadecimal digits."""
    words = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(item))
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:12]


_current: Loop | None = None
_begun = 0
_loaded: Position | None = None


def current() -> Loop | None:
    """Return the loop that runs now; None outside."""
    return _current


def begin(done: int, total: int | None, place: str = "") -> Loop:
    """Begin an outermost loop."""
    global _current, _begun  # noqa: PLW0603 - one loop is tracked at a time
    _begun += 1
    _current = Loop(number=_begun, done=done, total=total, place=place)
    return _current


def end() -> None:
    """The loop has ended."""
    global _current  # noqa: PLW0603
    _current = None


def loaded(position: Position | None) -> None:
    """Note the position of the checkpoint that the code has just loaded."""
    global _loaded  # noqa: PLW0603
    _loaded = position


def resumed_at(total: int | None) -> Position | None:
    """Return where the loop that begins now goes on: where the loaded checkpoint was saved; else None.

    Asked before `begin`. Only the loop in which it was saved goes on there, and only once.
    """
    if _loaded is None or _loaded.number != _begun + 1 or _loaded.total != total:
        return None
    position = _loaded
    loaded(None)
    return position


def _place(body: FrameType | None, head: int) -> str:
    """Return where in the loop's body the code is; empty within a loop inside it, or where nobody knows."""
    frame = sys._getframe(1)  # noqa: SLF001 - one of its callers is the body
    while frame is not body:
        if _in_a_loop(frame.f_code, frame.f_lasti) or frame.f_back is None:  # or it is another thread
            return ""
        frame = frame.f_back
    if _in_a_loop(frame.f_code, frame.f_lasti, head):
        return ""
    return f"{frame.f_code.co_name}:{frame.f_lasti}"


def _in_a_loop(code: CodeType, at: int, head: int = -1) -> bool:
    """Whether an instruction is within a loop that begins after ``head``: a jump back leads over it."""
    return any(head < target <= at < jump for jump, target in _jumps_back(code))


@lru_cache(maxsize=256)
def _jumps_back(code: CodeType) -> list[tuple[int, int]]:
    return [
        (each.offset, each.argval)
        for each in dis.get_instructions(code)
        if each.opcode in dis.hasjrel and each.argval < each.offset
    ]


def _after_fork() -> None:
    loaded(None)
    end()


os.register_at_fork(after_in_child=_after_fork)
