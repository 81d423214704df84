"""What pages of profiles and of drift have in common: a frame, a table, text that cannot do harm.

Styles are inline: viewers of untrusted notebooks drop the rest. Names and values come from files, so all
text is escaped, and freed of control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from mltemporal.words import clean

DIM = "opacity:0.75;font-size:12px"
_SPACES = re.compile(r"[ \t\n\r]+")  # not the ones that keep number and unit together
_CELL = "padding:3px 14px 3px 0;text-align:left;vertical-align:middle;border:0"


def safe(value: object) -> str:
    """Return a value as text for HTML."""
    return escape(plain(value), quote=True)


def plain(value: object) -> str:
    """Return a value as one line of text, without control characters."""
    return _SPACES.sub(" ", clean(str(value))).strip()


def percent(share: float) -> str:
    """Return e.g. ``12 %``; what is not nothing is not written as nothing."""
    if 0 < share < 0.001:
        return "<\u00a00.1\u00a0%"
    return f"{100 * share:.1f}\u00a0%" if share < 0.1 else f"{100 * share:.0f}\u00a0%"


def framed(title: str, facts: str, parts: Iterable[str]) -> str:
    """Return the whole: a title, what it is about, and parts that are HTML already."""
    return (
        '<div style="box-sizing:border-box;max-width:1000px;margin:4px 0;padding:10px 14px;'
        "border:1px solid rgba(128,128,128,0.35);border-left:3px solid #1976d2;border-radius:4px;"
        f'font-size:13px;line-height:1.45;overflow-x:auto"><div><b style="font-size:14px">{safe(title)}</b> '
        f'<span style="{DIM}">{safe(facts)}</span></div>{"".join(parts)}</div>'
    )


def listed(sentences: Sequence[str], colour: str) -> str:
    """Return sentences as a list, or nothing."""
    items = "".join(f'<li style="margin:2px 0">{safe(sentence)}</li>' for sentence in sentences)
    style = (
        f"margin:8px 0;padding:6px 8px 6px 26px;border-left:2px solid {colour};"
        "background:rgba(128,128,128,0.1)"
    )
    return f'<ul style="{style}">{items}</ul>' if items else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are HTML already."""
    head = "".join(f'<th style="{_CELL};font-weight:normal;{DIM}">{safe(name)}</th>' for name in heads)
    body = "".join(
        '<tr style="background:none;border-top:1px solid rgba(128,128,128,0.2)">'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        '<table style="border-collapse:collapse;margin:6px 0 2px;border:0;font-size:13px">'
        f'<tr style="background:none">{head}</tr>{body}</table>'
    )


def note(text: str) -> str:
    """Return a quiet line, or nothing."""
    return f'<div style="margin-top:4px;{DIM}">{safe(text)}</div>' if text else ""
