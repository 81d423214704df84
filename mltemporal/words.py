"""Numbers, durations and foreign text as a person reads them (frontend/src/format.js says the same)."""

from __future__ import annotations

import math
import re
import time

# Escape sequences of terminals: CSI (colours, cursor), OSC (titles, links) and the two-character ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters, and the marks that turn the direction of text around what follows them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return ``text`` without terminal escapes and control characters; of overwritten lines, what stayed."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in _ESCAPES.sub("", text).split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))


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
