import pandas as pd
import pytest

from mltemporal.plots.metrics import plot_comparison, plot_metrics
from mltemporal.plots.runs import plot_history
from mltemporal.plots.timeline import plot_timeline

START = pd.Timestamp("2026-11-23 12:00", tz="UTC")


def metrics(*rows):
    frame = pd.DataFrame(
        [
            {"step": step, "attempt": attempt, "time": START + pd.Timedelta(seconds=i), **values}
            for i, (attempt, step, values) in enumerate(rows)
        ],
        columns=None if rows else ["step", "attempt", "time"],
    )
    frame["step"] = frame["step"].astype("Int64")
    return frame


def events(*rows):
    frame = pd.DataFrame(rows, columns=["time", "kind", "attempt", "message", "by"])
    frame["time"] = START + pd.to_timedelta(frame["time"], unit="s")
    return frame


def texts(figure):
    return {
        text.get_text().strip() for ax in figure.axes for text in [*ax.texts, ax.title, *ax.get_yticklabels()]
    }


def legend(figure):
    return [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def test_each_group_of_metrics_has_a_chart():
    frame = metrics(*((1, i, {"train_loss": 1.0, "valid_loss": 2.0, "lr": 0.1}) for i in range(3)))

    figure = plot_metrics(frame)

    assert ["", "lr"] == titles(figure)
    assert ["train_loss", "valid_loss"] == legend(figure)


def test_later_attempts_are_marked_and_earlier_ones_drawn_paler():
    frame = metrics((1, 0, {"a": 1.0}), (1, 5, {"a": 0.5}), (2, 4, {"a": 0.6}), (2, 9, {"a": 0.4}))

    figure = plot_metrics(frame)

    assert "attempt 2" in texts(figure)
    assert [0.45, 1] == [line.get_alpha() for line in figure.axes[0].lines if line.get_alpha()]


@pytest.mark.parametrize(
    "frame",
    [
        metrics(),
        metrics((1, 0, {"a": float("nan")})),
        metrics((1, None, {"a": 1.0}), (1, None, {"a": 2.0})),
        metrics((1, 0, {"a": 1.0})),
    ],
)
def test_odd_frames_still_make_a_picture(frame):
    assert plot_metrics(frame)._repr_png_().startswith(b"\x89PNG")


def test_a_comparison_has_a_line_for_each_job_that_has_the_metric():
    with_it = metrics((1, 0, {"a": 1.0}), (1, 1, {"a": 2.0}))

    figure = plot_comparison({"1 x": with_it, "2 y": with_it, "3 z": metrics()}, "a")

    assert ["1 x", "2 y"] == legend(figure)


def test_the_history_tells_runs_without_the_metric_apart():
    rows = [
        {"id": 1, "trainer": "fit", "status": "succeeded", "created": START, "r2": 0.9},
        {
            "id": 2,
            "trainer": "forest",
            "status": "succeeded",
            "created": START + pd.Timedelta(hours=1),
            "r2": 0.8,
        },
        {"id": 3, "trainer": "fit", "status": "failed", "created": START + pd.Timedelta(hours=2), "r2": None},
    ]

    figure = plot_history(pd.DataFrame(rows), "r2")

    assert ["fit", "forest", "failed, no r2"] == legend(figure)
    assert {"1", "2"} <= texts(figure)


def bars(figure):
    return [
        (round(bar.get_x(), 3), round(bar.get_width(), 3), round(bar.get_y() + 0.25))
        for bar in figure.axes[0].patches
    ]


def test_a_life_is_a_row_for_each_attempt():
    life = events(
        (0, "submitted", 0, "", "ada"),
        (10, "stage", 0, "running", ""),
        (10, "attempt", 1, "", ""),
        (40, "retry", 1, "interrupted: killed", ""),
        (50, "attempt", 2, "", ""),
        (90, "command", 2, "cancel", "ada"),
        (100, "finished", 0, "cancelled", ""),
    )

    figure = plot_timeline(life)

    assert [(0, 10, 1), (10, 40, 1), (50, 50, 2)] == [bar for bar in bars(figure) if bar[1] > 1]
    assert ["cancelled after 100 s"] == titles(figure)
    assert ["queued", "running", "interrupted, tried again", "cancel by ada", "cancelled"] == legend(figure)
    assert {"attempt 1", "attempt 2"} <= texts(figure)


def test_a_job_that_was_tried_again_after_its_end_goes_on():
    life = events(
        (0, "submitted", 0, "", ""),
        (1, "stage", 0, "running", ""),
        (10, "finished", 0, "failed", ""),
        (20, "stage", 0, "queued", ""),
        (30, "finished", 0, "succeeded", ""),
    )

    figure = plot_timeline(life)

    assert ["succeeded after 30 s"] == titles(figure)
    assert [(0, 1, 1), (1, 9, 1), (20, 10, 1)] == bars(figure)


def test_a_notice_that_is_told_later_does_not_prolong_a_life():
    life = events(
        (0, "submitted", 0, "", ""),
        (1, "stage", 0, "running", ""),
        (10, "finished", 0, "failed", ""),
        (9000, "notice", 0, "its end was told", ""),
    )

    assert ["failed after 10 s"] == titles(plot_timeline(life))


def test_a_job_without_events_says_so():
    assert plot_timeline(events())._repr_png_().startswith(b"\x89PNG")
