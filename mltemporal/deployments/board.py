"""The board of versions: a table in a notebook, text elsewhere."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.deployments.build import version_of
from mltemporal.words import clean, duration

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.deployments.rollout import Rollout, Row

_HEAD = ("version", "build", "state", "jobs", "workers", "since")
_CELL = "padding:3px 14px 3px 0;text-align:left;border:0"


@dataclass(frozen=True, kw_only=True, repr=False)
class VersionBoard:
    """The builds of the workflow code that Temporal knows at one time; shows itself in a notebook."""

    rows: tuple[Row, ...]
    time: float
    """When that was, seconds since the epoch."""

    @property
    def frame(self) -> pd.DataFrame:
        """The versions as a table: a row a version, the newest first; ``since`` in UTC."""
        import pandas as pd

        columns = [*_HEAD, "percentage", "here"]
        cells = [
            {
                "version": version_of(row.version.build),
                "build": row.version.build,
                "state": row.version.state,
                "jobs": row.version.jobs,
                "workers": row.workers,
                "since": row.version.since,
                "percentage": row.version.percentage,
                "here": row.here,
            }
            for row in self.rows
        ]
        frame = pd.DataFrame(cells, columns=columns)
        frame["since"] = pd.to_datetime(frame["since"].astype(float), unit="s", utc=True)
        return frame

    @property
    def trouble(self) -> str:
        """What keeps new jobs waiting; empty where nothing does."""
        dead = [row for row in self.rows if row.version.state in ("current", "ramping") and not row.workers]
        return "; ".join(
            f"{row.version.state} build {clean(row.version.build)} has no worker" for row in dead
        )

    def __repr__(self) -> str:
        if not self.rows:
            return _NONE
        lines = [tuple(name.upper() for name in _HEAD), *map(self._cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*shown, "", f"{self.trouble}: {TO_MEND}"] if self.trouble else shown)

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<div>{html.escape(_NONE)}</div>"
        heads = "".join(f'<th style="{_CELL};font-weight:normal;opacity:0.75">{name}</th>' for name in _HEAD)
        rows = "".join(
            f'<tr style="background:none">{"".join(map(_html_cell, self._cells(row)))}</tr>'
            for row in self.rows
        )
        told = html.escape(f"{self.trouble}: {TO_MEND}", quote=True) if self.trouble else ""
        return (
            '<table style="border-collapse:collapse;margin:4px 0;border:0;font-size:13px">'
            f'<tr style="background:none">{heads}</tr>{rows}</table>' + (f"<div>{told}</div>" if told else "")
        )

    def _cells(self, row: Row) -> tuple[str, ...]:
        version = row.version
        state = version.state
        if state == "ramping" or (state == "current" and version.percentage < 100):
            state += f", {version.percentage:g} % of new jobs"
        cells = (
            version_of(version.build),
            version.build + (" (this code)" if row.here else ""),
            state,
            str(version.jobs),
            str(row.workers),
            f"{duration(max(0.0, self.time - version.since))} ago",
        )
        return tuple(clean(cell) for cell in cells)  # a build's name comes from Temporal


def _html_cell(text: str) -> str:
    return f'<td style="{_CELL}">{html.escape(text, quote=True)}</td>'


TO_MEND = (
    "its new jobs wait; start one from its code, by `mltemporal versions deploy`, "
    "or send new jobs to another build, by `mltemporal versions promote BUILD`"
)
_NONE = "no version yet: workers of mltemporal before 0.2 belong to none, and a first worker makes the first"


def versions() -> VersionBoard:
    """Return the builds of the workflow code that run, drain or wait, with the jobs on each.

    Raises:
        ServiceUnavailable: the services do not answer.
    """
    from mltemporal import background, session
    from mltemporal.deployments.rollout import Rollout

    here = session.current()

    async def ask() -> VersionBoard:
        return await board(Rollout(here.settings, await here.client(), here.database))

    return background.run(ask())


async def board(rollout: Rollout) -> VersionBoard:
    """Return the board of a database's versions."""
    return VersionBoard(rows=tuple(await rollout.rows()), time=time.time())
