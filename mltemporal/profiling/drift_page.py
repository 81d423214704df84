"""A comparison of two tables as lasting HTML and as plain text: one row a column."""

from __future__ import annotations

from mltemporal.profiling.bars import BLUE, ORANGE, twin_image
from mltemporal.profiling.drift import ColumnDrift, Drift
from mltemporal.profiling.markup import DIM, framed, listed, note, plain, safe, table

COLUMNS_SHOWN = 20
_NAME_SHOWN = 40


def drift_page(drift: Drift) -> str:
    """Return the comparison as HTML that needs no script, no style sheet and no network."""
    shown = _shown(drift)
    rows = [
        (
            f"<b>{safe(_cut(column.name))}</b>",
            twin_image(column.before, column.after, f"{plain(column.name)} before and after"),
            f"{column.psi:.3f}",
            f'{column.distance:.3f} <span style="{DIM}">{safe(_test(column))}</span>',
            f'<b style="color:#d32f2f">moved</b> {safe(column.words)}'
            if column.moved
            else f'<span style="{DIM}">{safe(column.words or "as before")}</span>',
        )
        for column in shown
    ]
    more = len(drift.columns) - len(shown)
    key = (
        f'<div style="{DIM};margin-top:4px"><span style="color:{BLUE}">■</span> before, '
        f'<span style="color:{ORANGE}">■</span> after</div>'
    )
    return framed(
        "Drift",
        _facts(drift),
        (
            listed([_sentence(drift)] if drift.moved else [], "#d32f2f"),
            key if rows else "",
            table(("column", "", "stability index", "distance", ""), rows) if rows else "",
            note(f"and {more:,} more columns: see .frame" if more > 0 else ""),
            note(_left_out(drift)),
        ),
    )


def drift_text(drift: Drift) -> str:
    """Return the comparison as lines of plain text."""
    lines = [f"Drift: {_facts(drift)}"]
    lines += [
        f"  {plain(_cut(column.name))}: {plain(column.words)} (stability index {column.psi:.3f})"
        for column in drift.columns[:COLUMNS_SHOWN]
        if column.moved
    ]
    return "\n".join([*lines, *filter(None, [f"  {_left_out(drift)}" if drift.left_out else ""])])


def _shown(drift: Drift) -> list[ColumnDrift]:
    """Those that moved, then those with the largest index."""
    return sorted(drift.columns, key=lambda column: not column.moved)[:COLUMNS_SHOWN]


def _facts(drift: Drift) -> str:
    moved = f"{len(drift.moved)} of {len(drift.columns)} columns moved"
    return f"{moved}: {drift.rows_after:,} rows beside {drift.rows_before:,} before"


def _sentence(drift: Drift) -> str:
    names = [repr(plain(_cut(name))) for name in drift.moved]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{', '.join(names[:8])}{more} moved: the model may not fit this data any more"


def _test(column: ColumnDrift) -> str:
    if not column.test:
        return ""
    return (
        f"p < 1e-16 ({column.test})" if column.p_value < 1e-16 else f"p {column.p_value:.2g} ({column.test})"
    )


def _left_out(drift: Drift) -> str:
    if not drift.left_out:
        return ""
    names = ", ".join(repr(plain(_cut(name))) for name in drift.left_out[:8])
    more = f" and {len(drift.left_out) - 8} more" if len(drift.left_out) > 8 else ""
    return f"not compared: {names}{more}"


def _cut(text: str) -> str:
    return text if len(text) <= _NAME_SHOWN else text[: _NAME_SHOWN - 1] + "…"
