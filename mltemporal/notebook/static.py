"""A job as lasting HTML and as plain text: for saved notebooks, GitHub, nbconvert and terminals.

Styles are inline and charts are images: viewers of untrusted notebooks drop the rest.
Whatever comes from a job is escaped, and freed of terminal escapes and control characters.
"""

from __future__ import annotations

import base64
from html import escape
from time import time as _now

from mltemporal.notebook import svg
from mltemporal.notebook.picture import Picture
from mltemporal.specs.running import JobStatus
from mltemporal.words import clean, duration, moment, number

_TONES = {
    JobStatus.RUNNING: "#1976d2",
    JobStatus.PAUSED: "#b26a00",
    JobStatus.SUCCEEDED: "#2e8b57",
    JobStatus.FAILED: "#d32f2f",
}
_GREY = "#7a8691"
_DIM = "opacity:0.75;font-size:12px"
_PRE = (
    "margin:6px 0 0;padding:6px 8px;font-size:12px;line-height:1.4;white-space:pre-wrap;"
    "background:rgba(128,128,128,0.12)"
)
_CHARTS_SHOWN = 6
_LOG_LINES = 40


def to_html(picture: Picture, *, twin: str = "", now: float | None = None) -> str:
    """Return the job as HTML that needs no script, no style sheet and no network.

    Args:
        picture: what is known of the job.
        twin: a class name by which a live panel finds and hides this, its static form.
        now: when this is made, seconds since the epoch; for a job that still runs the text says so.
    """
    view = picture.view
    tone = _TONES.get(view.status, _GREY)
    parts = [
        _head(picture, tone),
        _dim("div", _about(picture)),
        _progress(picture, tone),
        _line(facts_line(picture, now)),
        _line(picture.message, "font-style:italic;opacity:0.75"),
        f'<pre style="{_PRE};border-left:2px solid {tone}">{_text(view.error)}</pre>' if view.error else "",
        _metrics(view.metrics),
        _charts(picture),
        _notes(view.notes),
        _log(view.log_tail),
    ]
    names = _text(f"mltemporal-job {twin}".strip())
    return (
        f"{_without_panel(twin) if twin and not view.status.final else ''}"
        f'<div class="{names}" style="box-sizing:border-box;max-width:900px;margin:4px 0;'
        f"padding:10px 14px;border:1px solid rgba(128,128,128,0.35);border-left:3px solid {tone};"
        f'border-radius:4px;font-size:13px;line-height:1.45">{"".join(parts)}</div>'
    )


def to_text(picture: Picture, *, now: float | None = None) -> str:
    """Return the job as a few lines of plain text."""
    view = picture.view
    lines = [
        f"{clean(view.name)} (job {view.id}): {view.status}",
        f"  {_about(picture)}" if _about(picture) else "",
        f"  {facts_line(picture, now)}",
        f"  {clean(picture.message)}" if picture.message else "",
        *(f"  {clean(name)}: {number(value)}" for name, value in view.metrics.items()),
        *(f"  {clean(note)}" for note in view.notes),
        clean(view.error),
    ]
    return "\n".join(line for line in lines if line)


def facts_line(picture: Picture, now: float | None = None) -> str:
    """Return in one sentence where the job stands, e.g. ``running at 40 % when this was saved …``."""
    view, now = picture.view, _now() if now is None else now
    attempt = (
        f", attempt {view.attempt} of {max(view.attempt, view.attempts_allowed)}" if view.attempt > 1 else ""
    )
    if view.status.final:
        took = (
            view.finished_at and view.started_at and f" after {duration(view.finished_at - view.started_at)}"
        )
        return f"{view.status}{took or ''}{attempt}"
    at = f" at {picture.share:.0%}".replace("%", " %") if picture.share is not None else ""
    if not at and picture.pace.step is not None:
        at = f" at step {picture.pace.step}"
    stage = f" ({clean(view.stage)})" if view.stage else ""
    return (
        f"{view.status}{at}{attempt}{stage} when this was saved ({moment(now)}); "
        f"mltemporal.job({view.id}) follows it"
    )


def _text(text: str) -> str:
    return escape(clean(text), quote=True)


def _without_panel(twin: str) -> str:
    """Hide the output of the live panel behind this one where there is no panel any more.

    JupyterLab would say "Error displaying widget: model not found" there.
    """
    panel = f".jp-OutputArea-child:has(.{twin}) + .jp-OutputArea-child"
    return f"<style>{panel}:not(:has(.mlt)) {{ display: none; }}</style>"


def _line(text: str, style: str = "") -> str:
    return f'<div style="margin-top:4px;{style}">{_text(text)}</div>' if text else ""


def _dim(tag: str, text: str) -> str:
    return f'<{tag} style="{_DIM}">{_text(text)}</{tag}>' if text else ""


def _about(picture: Picture) -> str:
    view = picture.view
    return clean("  ·  ".join(part for part in (view.trainer, view.dataset, view.backend) if part))


def _head(picture: Picture, tone: str) -> str:
    view = picture.view
    return (
        f'<div><b style="font-size:14px">{_text(view.name)}</b> {_dim("span", f"job {view.id}")} '
        f'<span style="padding:1px 8px;border-radius:10px;font-size:12px;color:#ffffff;background:{tone}">'
        f"{_text(view.status)}</span></div>"
    )


def _progress(picture: Picture, tone: str) -> str:
    if picture.share is None or picture.view.status is JobStatus.SUCCEEDED:
        return ""
    bar = "height:6px;border-radius:3px"
    return (
        f'<div style="{bar};margin:6px 0 2px;background:rgba(128,128,128,0.2)">'
        f'<div style="{bar};width:{100 * picture.share:.1f}%;background:{tone}"></div></div>'
    )


def _metrics(metrics: dict[str, float]) -> str:
    if not metrics:
        return ""
    cell = "padding:1px 18px 1px 0;text-align:left;border:0"
    heads = "".join(f'<th style="{cell};font-weight:normal;{_DIM}">{_text(name)}</th>' for name in metrics)
    values = "".join(
        f'<td style="{cell};font-weight:bold">{number(value)}</td>' for value in metrics.values()
    )
    return (
        f'<table style="border-collapse:collapse;margin:8px 0 2px;border:0">'
        f'<tr style="background:none">{heads}</tr><tr style="background:none">{values}</tr></table>'
    )


def _charts(picture: Picture) -> str:
    groups = picture.curves.charts()
    if not groups:
        return ""
    more = len(groups) - _CHARTS_SHOWN
    rest = _dim("div", f"{more} more metrics: mltemporal.job({picture.view.id}).plot()") if more > 0 else ""
    return f'<div style="margin-top:8px">{_image(picture, groups[:_CHARTS_SHOWN])}{rest}</div>'


def _image(picture: Picture, groups: list[list[str]]) -> str:
    text, width, height = svg.charts(picture.curves, groups)
    data = base64.b64encode(text.encode()).decode()
    names = ", ".join(name for group in groups for name in group)
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="curves of {_text(names)}" '
        f'width="{width}" height="{height}" '
        'style="max-width:100%;height:auto">'
    )


def _notes(notes: tuple[str, ...]) -> str:
    items = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f'<ul style="margin:8px 0 0;padding-left:18px;{_DIM}">{items}</ul>' if items else ""


def _log(lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    text = "\n".join(_text(line) for line in lines[-_LOG_LINES:])
    return (
        f'<details style="margin-top:6px"><summary style="{_DIM}">Log</summary>'
        f'<pre style="{_PRE}">{text}</pre></details>'
    )
