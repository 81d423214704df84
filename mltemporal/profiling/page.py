"""A profile as lasting HTML and as plain text: one row a column."""

from __future__ import annotations

from mltemporal.profiling.bars import bars_image
from mltemporal.profiling.kinds import NUMERIC, TIMES
from mltemporal.profiling.markup import DIM, framed, listed, note, percent, plain, safe, table
from mltemporal.profiling.profiles import ColumnProfile, Profile
from mltemporal.words import number

COLUMNS_SHOWN = 50
_TOP_SHOWN = 3
_FREQUENT = 0.005
_VALUE_SHOWN, _NAME_SHOWN = 24, 40


def profile_page(profile: Profile) -> str:
    """Return the profile as HTML that needs no script, no style sheet and no network."""
    shown = profile.columns[:COLUMNS_SHOWN]
    heads = ("column", "type", "missing", "distinct", "", "values")
    rows = [
        (
            _name(column, profile.target),
            f'<span style="{DIM}">{safe(_cut(column.type, _NAME_SHOWN))}</span>',
            _missing(column, profile.rows),
            safe(_distinct(column)),
            _picture(column, profile.rows),
            safe(_values(column, profile.rows)),
        )
        for column in shown
    ]
    more = len(profile.columns) - len(shown)
    return framed(
        "Profile",
        _facts(profile),
        (
            listed(profile.warnings, "#b26a00"),
            table(heads, rows),
            note(f"and {more:,} more columns: see .frame" if more > 0 else ""),
            note(_about_sample(profile)),
        ),
    )


def profile_text(profile: Profile) -> str:
    """Return the profile as lines of plain text."""
    shown = profile.columns[:COLUMNS_SHOWN]
    width = max((len(_cut(plain(column.name), _NAME_SHOWN)) for column in shown), default=0)
    lines = [f"Profile: {_facts(profile)}", *(f"  ! {plain(warning)}" for warning in profile.warnings)]
    for column in shown:
        missing = f"{percent(column.nulls / max(1, profile.rows))} missing" if column.nulls else ""
        distinct = _distinct(column) and f"{_distinct(column)} distinct"
        values = plain(_values(column, profile.rows))
        facts = [plain(_cut(column.type, _NAME_SHOWN)), missing, distinct, values]
        lines.append(f"  {_cut(plain(column.name), _NAME_SHOWN):{width}}  {', '.join(filter(None, facts))}")
    if len(profile.columns) > len(shown):
        lines.append(f"  and {len(profile.columns) - len(shown):,} more columns: see .frame")
    return "\n".join(lines)


def _facts(profile: Profile) -> str:
    duplicates = f", {profile.duplicates:,} duplicates" if profile.duplicates else ""
    return f"{profile.rows:,} rows × {len(profile.columns):,} columns{duplicates}"


def _about_sample(profile: Profile) -> str:
    if profile.sampled >= profile.rows:
        return ""
    return (
        f"histograms, quantiles and values of columns with many are estimated from {profile.sampled:,} rows; "
        "~ marks an estimate"
    )


def _name(column: ColumnProfile, target: str | None) -> str:
    mark = f' <span style="{DIM}">target</span>' if column.name == target else ""
    return f"<b>{safe(_cut(plain(column.name), _NAME_SHOWN))}</b>{mark}"


def _missing(column: ColumnProfile, rows: int) -> str:
    if not column.nulls:
        return f'<span style="{DIM}">–</span>'
    share = column.nulls / rows
    bar = "height:5px;border-radius:3px"
    return (
        f'<div style="min-width:52px;font-size:12px">{safe(percent(share))}'
        f'<div style="{bar};width:48px;background:rgba(128,128,128,0.25)">'
        f'<div style="{bar};width:{max(2, 100 * share):.0f}%;background:#d32f2f"></div></div></div>'
    )


def _distinct(column: ColumnProfile) -> str:
    if column.distinct is None:
        return ""
    return f"{'~' if column.approximate else ''}{column.distinct:,}"


def _picture(column: ColumnProfile, rows: int) -> str:
    if column.histogram is not None and len(column.histogram.counts) > 1:
        return bars_image(column.histogram.counts, f"histogram of {plain(column.name)}")
    if len(column.top) > 1 and not _none_is_frequent(column, rows):
        return bars_image([top.count for top in column.top], f"frequent values of {plain(column.name)}")
    return ""


def _values(column: ColumnProfile, rows: int) -> str:
    if column.kind in NUMERIC and column.minimum is not None:
        low, high = (_number(bound) for bound in (column.minimum, column.maximum))
        span = low if low == high else f"{low} … {high}"
        middle = f", median {number(column.quantiles[2])}" if column.quantiles and low != high else ""
        return f"{span}{middle}"
    if column.kind in TIMES and column.minimum is not None:
        return _span(str(column.minimum), str(column.maximum))
    if column.kind in ("text", "boolean"):
        if _none_is_frequent(column, rows):
            return f"{_cut(column.top[0].value, 2 * _VALUE_SHOWN)} …" if column.top else ""
        present = max(1, rows - column.nulls)
        return ", ".join(
            f"{_cut(top.value, _VALUE_SHOWN)} {percent(top.count / present)}"
            for top in column.top[:_TOP_SHOWN]
        )
    return ""


def _none_is_frequent(column: ColumnProfile, rows: int) -> bool:
    """Whether shares of single values say nothing: names, notes, ids."""
    return not column.top or (len(column.top) > _TOP_SHOWN and column.top[0].count < _FREQUENT * rows)


def _span(low: str, high: str) -> str:
    """Return two dates or times, their time of day only where it is one."""
    if all(each.endswith("T00:00:00") for each in (low, high)):
        low, high = low[:-9], high[:-9]
    return f"{low} … {high}".replace("T", "\u00a0")


def _number(bound: int | float | str | None) -> str:
    if isinstance(bound, int):
        return f"{bound:,}" if abs(bound) < 10**15 else str(bound)
    return number(bound) if isinstance(bound, float) else str(bound)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
