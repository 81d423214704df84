"""The progress protocol: one line on standard output, in any language.

A line is the prefix ``::mltemporal::`` and one JSON object, at most 4 KiB in all, written in
one call. The same parser serves every launcher. Its keys, all optional but the first:

==============  ===================================================================
``event``       ``report`` (the default), ``stage``, ``artifact`` or ``note``
``time``        seconds since the epoch; the reader's clock where it is missing
``step total``  whole numbers: how far, and of how much            (``report``)
``metrics``     an object of numbers, ``{"loss": 0.12}``            (``report``)
``dropped``     reports left out so far because they came too fast  (``report``)
``text``        what the job is doing now, or chose and why         (``stage``, ``note``)
``begins``      true in the first line of a process of a job        (``stage``)
``name object`` a file left behind: its name and its `ObjectRef`    (``artifact``)
==============  ===================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from mltemporal.specs.data import ObjectRef
from mltemporal.specs.encoding import decode

PREFIX = "::mltemporal::"
MAX_LINE_BYTES = 4096
MAX_NAME_LENGTH = 200
"""Longest name of a metric or an artifact, in characters: one always fits a line."""
KEEP_VARIABLE = "MLTEMPORAL_KEEP_REPORTS"
"""Set where a process's output may be lost unread: it keeps what it reports in storage, too."""
PIECE_LINES = 1_000
"""What is reported is kept in notes of at most so many lines."""
MOST_PIECES = 40
"""So many notes a process keeps, the newest: at its highest rate those of more than six minutes."""

_Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""What every database and every language can hold."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One parsed progress line."""

    event: str = "report"
    time: float | None = None
    step: _Whole | None = None
    total: _Whole | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    """JSON has no NaN or infinity: a null stands for a value that is no finite number."""
    dropped: int = 0
    text: str = ""
    begins: bool = False
    """A second time within an attempt, another process has begun: its pod was paused."""
    name: str = ""
    object: ObjectRef | None = None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A note of what a process has reported, kept beside its checkpoints."""

    first: _Whole | None = None
    """The first step of the process, in whichever piece."""
    lines: tuple[str, ...] = ()
    """As they stand in its output."""


def reported(attempt: int) -> str:
    """Return the folder of an attempt's notes of what it has reported, ``<process>-<piece>`` in order."""
    return f"{attempt}/reported"


def format_line(**fields: Any) -> bytes:
    """Return the line for ``fields`` (the keys of the table above), newline included.

    Raises:
        ValueError: the line would be longer than 4 KiB.
    """
    line = PREFIX.encode() + msgspec.json.encode(fields) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a progress line of {len(line)} bytes is over the limit of {MAX_LINE_BYTES}")
    return line


def parse_line(text: str) -> Line | None:
    """Return the progress in ``text``, or None where it is an ordinary line of output.

    A line that has the prefix and is malformed is ordinary output too: it stays in the log,
    where its author finds it. The prefix may follow an unfinished line (a progress bar of another
    library that shares the stream).
    """
    _, prefix, body = text.partition(PREFIX)
    if not prefix or len(prefix) + len(body.encode(errors="replace")) > MAX_LINE_BYTES:
        return None
    try:
        return decode(body, Line)
    except msgspec.DecodeError:
        return None


def is_file_name(name: str) -> bool:
    """Whether ``name`` can name a file that a job leaves behind: relative, and nothing but a path below.

    Whoever saves it may do so on another system: backslashes and drives are refused too.
    """
    return (
        1 <= len(name) <= MAX_NAME_LENGTH
        and name.isprintable()
        and "\\" not in name
        and not re.match(r"[A-Za-z]:", name)
        and not {"", ".", ".."} & set(name.split("/"))
    )
