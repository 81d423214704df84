from collections.abc import Callable

import pytest

from mltemporal.progress import Line
from mltemporal.runtime.context import Job
from mltemporal.runtime.reporting import report
from mltemporal.runtime.tracking import track

Told = Callable[[], list[Line]]


def test_a_tracked_loop_reports_its_start_and_its_end(job: Job, told: Told) -> None:
    assert [0, 1, 2] == list(track(range(3), desc="counting"))

    stage, *reports = told()
    assert ("stage", "counting") == (stage.event, stage.text)
    assert [(0, 3), (3, 3)] == [(line.step, line.total) for line in reports]


def test_a_report_in_a_tracked_loop_gets_the_loops_count(job: Job, told: Told) -> None:
    for _ in track(iter("ab"), total=2):
        report(loss=1.0)

    steps = [(line.step, line.total) for line in told() if line.metrics]
    assert [(0, 2), (1, 2)] == steps


def test_a_loop_that_reports_by_itself_is_not_reported_twice(
    job: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltemporal.runtime.tracking._REPORT_EVERY_S", 0)
    for _ in track(range(2)):
        report(loss=1.0)

    assert [(0, {}), (0, {"loss": 1.0}), (1, {"loss": 1.0}), (2, {})] == [
        (line.step, line.metrics) for line in told()
    ]


def test_a_slow_loop_reports_each_step_once(job: Job, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltemporal.runtime.tracking._REPORT_EVERY_S", 0)
    assert [0, 1, 2] == list(track(range(3)))

    assert [0, 1, 2, 3] == [line.step for line in told()]


def test_a_range_that_goes_on_where_an_attempt_stopped_counts_from_there(job: Job, told: Told) -> None:
    assert [4, 5] == list(track(range(4, 6)))
    assert ["a"] == list(track(["a"], initial=9))

    assert [(4, 6), (6, 6), (9, 10), (10, 10)] == [(line.step, line.total) for line in told()]


def test_of_loops_inside_each_other_the_outermost_counts(job: Job, told: Told) -> None:
    for _ in track(range(2)):
        assert [0, 1, 2] == list(track(range(3)))

    assert [(0, 2), (2, 2)] == [(line.step, line.total) for line in told()]


def test_a_loop_that_is_left_early_reports_how_far_it_came(job: Job, told: Told) -> None:
    for item in track(range(10)):
        if item == 4:
            break

    assert (4, 10) == [(line.step, line.total) for line in told()][-1]
    report(loss=1)
    assert [None] == [line.step for line in told()]


def test_outside_a_job_a_tracked_loop_is_a_bar_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert [0, 1] == list(track(range(2), desc="counting"))

    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith("\rcounting 2/2")
    assert captured.err.endswith("\n")
