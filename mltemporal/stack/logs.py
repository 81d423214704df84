"""Logs that do not grow for ever, without a pipe that would break when the supervisor dies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024**2
KEPT = 3


def rotate(log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Move a log that is too long to ``.1`` (and ``.1`` to ``.2`` …), then empty it in place.

    Whoever writes has it open for appending and goes on at its start; lines written between the
    copy and the emptying are lost.
    """
    try:
        if log.stat().st_size < max_bytes:
            return
    except FileNotFoundError:
        return
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
