"""The board: how every part is, as a table in a notebook and as text elsewhere."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mltemporal.specs.health import HealthCheck, HealthState
from mltemporal.words import duration, one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mltemporal.database.health import HealthRound

COLOURS = {HealthState.OK: "#2e8b57", HealthState.WARNING: "#b26a00", HealthState.PROBLEM: "#d32f2f"}
_WORDS = {HealthState.OK: "ok", HealthState.WARNING: "warning", HealthState.PROBLEM: "problem"}
_DIM = "opacity:0.75;font-size:12px"
_CELL = "padding:3px 14px 3px 0;text-align:left;vertical-align:top;border:0"


@dataclass(frozen=True, kw_only=True, repr=False)
class HealthBoard:
    """What was found about each part at one time; shows itself in a notebook."""

    checks: tuple[HealthCheck, ...]
    time: float
    """When that was, seconds since the epoch."""
    note: str
    """Who looked: a monitor, or this process because there is none."""
    _past: Callable[[], Sequence[HealthRound]] = field(default=tuple, compare=False)

    @property
    def ok(self) -> bool:
        """Whether no part is a problem."""
        return all(check.state is not HealthState.PROBLEM for check in self.checks)

    @property
    def frame(self) -> pd.DataFrame:
        """The checks as a table: a row a part."""
        import pandas as pd

        columns = ["part", "state", "latency_ms", "detail", "next_step"]
        return pd.DataFrame([_row(check) for check in self.checks], columns=columns)

    @property
    def history(self) -> pd.DataFrame:
        """Every check of the last days: ``time`` (UTC), ``round``, then the columns of `frame`."""
        return history_frame(self._past())

    def plot(self) -> Figure:
        """Return the last days as a picture: a row a part, coloured by its state."""
        from mltemporal.plots.health import plot_health

        return plot_health(self.history)

    def __repr__(self) -> str:
        width = max((len(one_line(check.part)) for check in self.checks), default=0)
        lines = [self._headline()]
        for check in self.checks:
            lines.append(
                f"  {_WORDS[check.state]:<7}  {one_line(check.part):<{width}}  {check.latency_ms:6.0f} ms  "
                f"{one_line(check.detail)}"
            )
            if check.next_step:
                lines.append(f"           next step: {one_line(check.next_step)}")
        return "\n".join([*lines, f"  {one_line(self.note)}"])

    def _repr_html_(self) -> str:
        worst = max((check.state for check in self.checks), key=list(HealthState).index, default=None)
        tone = COLOURS[worst] if worst is not None else "#7a8691"
        rows = "".join(map(_html_row, self.checks))
        heads = "".join(
            f'<th style="{_CELL};font-weight:normal;{_DIM}">{name}</th>'
            for name in ("state", "part", "latency", "what was found", "next step")
        )
        return (
            f'<div style="box-sizing:border-box;max-width:1100px;margin:4px 0;padding:10px 14px;'
            f"border:1px solid rgba(128,128,128,0.35);border-left:3px solid {tone};border-radius:4px;"
            f'font-size:13px;line-height:1.45"><b style="font-size:14px">{_text(self._headline())}</b>'
            f'<table style="border-collapse:collapse;margin:8px 0 4px;border:0;font-size:13px">'
            f'<tr style="background:none">{heads}</tr>{rows}</table>'
            f'<div style="{_DIM}">{_text(self.note)}</div></div>'
        )

    def _headline(self) -> str:
        if not self.checks:
            return "nothing was looked at yet"
        counts = {state: sum(check.state is state for check in self.checks) for state in HealthState}
        problems, warnings = counts[HealthState.PROBLEM], counts[HealthState.WARNING]
        told = [
            *([f"{problems} problem{'s' * (problems > 1)}"] if problems else []),
            *([f"{warnings} warning{'s' * (warnings > 1)}"] if warnings else []),
        ]
        return f"{' and '.join(told) or 'all is well'}, {_age(time.time() - self.time)}"


def history_frame(rounds: Sequence[HealthRound]) -> pd.DataFrame:
    """Return rounds as a table: a row a check, oldest first."""
    import pandas as pd

    columns = ["time", "round", "part", "state", "latency_ms", "detail", "next_step"]
    rows = [{"time": each.time, "round": each.id, **_row(check)} for each in rounds for check in each.checks]
    frame = pd.DataFrame(rows, columns=columns)
    frame["time"] = pd.to_datetime(frame["time"].astype(float), unit="s", utc=True)
    return frame


def _row(check: HealthCheck) -> dict[str, Any]:
    return {**vars(check), "state": check.state.value}


def _html_row(check: HealthCheck) -> str:
    colour = COLOURS[check.state]
    dot = (
        f'<span style="display:inline-block;width:9px;height:9px;border-radius:5px;background:{colour};'
        'margin-right:6px"></span>'
    )
    cells = (
        f'<span style="white-space:nowrap;color:{colour}">{dot}{_text(_WORDS[check.state])}</span>',
        f'<b style="white-space:nowrap">{_text(check.part)}</b>',
        f'<span style="white-space:nowrap;{_DIM}">{check.latency_ms:.0f} ms</span>',
        _text(check.detail),
        _text(check.next_step),
    )
    inner = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="background:none">{inner}</tr>'


def _text(text: str) -> str:
    return html.escape(one_line(text), quote=True)


def _age(seconds: float) -> str:
    return "just now" if seconds < 2 else f"{duration(seconds)} ago"
