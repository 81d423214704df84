"""Numbers, durations and foreign text as a person reads them (frontend/src/format.js says the same)."""

from __future__ import annotations

import math
import re
import time

# Escape sequences of terminals, each with its one-byte form: CSI (colours, cursor); the strings (OSC:
# titles, links, the clipboard; DCS, SOS, PM, APC), of which one without an end hides its line and no more;
# then the short ones.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# Control characters, marks that turn the direction of text around what follows them, other ends of
# lines, and halves of characters, which no file and no terminal takes.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN = frozenset("\\`*_{}[]()<>#+-.!|~&:")


def clean(text: str) -> str:
    """Return ``text`` without terminal escapes and control characters; of overwritten lines, what stayed.

    Everything that others wrote (jobs, datasets, servers, colleagues) passes here on its way to a
    screen; where that is HTML, it is escaped besides.
    """
    if text.isascii() and text.isprintable():
        return text
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in _ESCAPES.sub("", text).split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))


def one_line(text: object) -> str:
    """Return ``text`` clean and on one line, for a cell of a table or a name within a sentence."""
    return " ".join(clean(str(text)).split())


def markdown(text: str, limit_bytes: int = 1000) -> str:
    """Return ``text`` as one line of markdown that shows it as it is: Temporal's Web UI renders it."""
    kept, length = [], 0
    for character in one_line(text):
        shown = f"\\{character}" if character in _MARKDOWN else character
        length += len(shown.encode())
        if length > limit_bytes:
            break
        kept.append(shown)
    return "".join(kept)


def shortened(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of ``text``: its beginning and its end."""
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def number(value: float) -> str:
    """Return four significant digits, e.g. ``0.9731``, ``1200``, ``1.20e-05``."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e7:
        return str(int(value))
    if abs(value) < 1e-4 or abs(value) >= 1e7:
        return f"{value:.2e}"
    return f"{float(f'{value:.4g}'):.10g}"


def duration(seconds: float) -> str:
    """Return e.g. ``3 s``, ``2 min 5 s``, ``1 h 4 min`` or ``1 d 2 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def moment(seconds: float) -> str:
    """Return the local date and time of ``seconds`` since the epoch, e.g. ``2026-11-23 14:02``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
