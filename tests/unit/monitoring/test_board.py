"""The board and its picture; whatever comes from servers is escaped."""

import time

from matplotlib.colors import to_hex

from mltemporal.database.health import HealthRound
from mltemporal.monitoring.board import HealthBoard
from mltemporal.plots.health import STATES, plot_health
from mltemporal.specs.health import HealthCheck, HealthState


def check(part: str, state: HealthState = HealthState.OK, **fields) -> HealthCheck:
    return HealthCheck(**{"part": part, "state": state, "latency_ms": 2.0, "detail": "fine", **fields})


def board(*checks: HealthCheck, rounds=()) -> HealthBoard:
    return HealthBoard(checks=checks, time=time.time(), note="from a monitor", _past=lambda: rounds)


def test_the_board_says_the_worst_first_in_words_and_as_text() -> None:
    text = repr(board(check("disk"), check("storage", HealthState.PROBLEM, next_step="free space")))
    assert text.startswith("1 problem, just now\n  ok       disk     ")
    assert "problem  storage" in text
    assert "next step: free space" in text
    assert text.endswith("from a monitor")
    assert repr(board(check("disk"))).startswith("all is well, ")
    assert not board(check("disk", HealthState.PROBLEM)).ok


def test_what_servers_say_is_escaped() -> None:
    evil = check("disk", HealthState.WARNING, detail="<script>x</script>\x1b[31m\n", next_step="<b>&")
    shown = board(evil)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;x&lt;/script&gt;" in shown
    assert "&lt;b&gt;&amp;" in shown
    assert "\x1b" not in shown + repr(board(evil))


def test_the_history_is_a_table_and_a_picture() -> None:
    rounds = [
        HealthRound(id=f"m/{n}", time=1e9 + 60 * n, checks=(check("disk"), check("storage", state)))
        for n, state in enumerate([HealthState.OK, HealthState.WARNING, HealthState.PROBLEM])
    ]
    shown = board(*rounds[-1].checks, rounds=rounds)
    assert ["time", "round", "part", "state", "latency_ms", "detail", "next_step"] == list(
        shown.history.columns
    )
    assert 6 == len(shown.history)
    assert ["disk", "storage"] == list(shown.frame["part"])
    (axes,) = shown.plot().axes
    assert ["disk", "storage"] == [label.get_text() for label in axes.get_yticklabels()]
    colours = {to_hex(bars.get_facecolor()[0]) for bars in axes.collections if len(bars.get_paths())}
    assert set(STATES.values()) == colours


def test_a_picture_of_no_rounds_says_so() -> None:
    assert "no round" in plot_health(board().history).texts[0].get_text()
