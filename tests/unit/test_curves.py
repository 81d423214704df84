import math

from mltemporal.curves import LIMIT, Curves, thinned
from mltemporal.views import Point


def points(*rows):
    return [Point(attempt=a, time=100.0 + i, step=s, metrics=m) for i, (a, s, m) in enumerate(rows)]


def test_metrics_of_the_same_thing_share_a_chart():
    names = ["train_loss", "lr", "valid_loss", "accuracy", "val/accuracy", "train"]

    curves = Curves(points((1, 0, dict.fromkeys(names, 1.0))))

    assert [["train_loss", "valid_loss"], ["lr"], ["accuracy", "val/accuracy"], ["train"]] == curves.charts()


def test_the_axis_is_the_step_and_a_report_without_one_belongs_to_the_step_before():
    curves = Curves(points((1, 3, {"a": 1.0}), (1, None, {"a": 2.0}), (1, 4, {"a": 3.0})))

    assert "step" == curves.axis
    assert ([3.0, 3.0, 4.0], [1.0, 2.0, 3.0]) == curves.xy(curves.of("a")[0])


def test_steps_that_run_backwards_within_an_attempt_leave_the_time():
    curves = Curves(points((1, 0, {"a": 1.0}), (1, 1, {"a": 1.0}), (1, 0, {"a": 1.0})))

    assert "time" == curves.axis
    assert [0.0, 1.0, 2.0] == curves.xy(curves.of("a")[0])[0]


def test_a_newer_attempt_takes_over_from_its_first_step_on():
    curves = Curves(points(*((1, step, {"a": float(step)}) for step in range(6)), (2, 3, {"a": 30.0})))

    assert "step" == curves.axis
    assert {1: 0.0, 2: 3.0} == curves.starts()
    assert [[0.0, 1.0, 2.0], [3.0]] == [line.steps for line in curves.of("a")]
    assert 1 == curves.cuts


def test_what_began_anew_leaves_nothing_of_the_attempt_before():
    curves = Curves(points((1, 1, {"a": 1.0, "gone": 1.0}), (1, 2, {"a": 2.0})))
    curves.add(points((2, 0, {}), (2, 1, {"a": 3.0})))

    assert {("a", 2)} == set(curves.lines)


def test_add_returns_what_was_new():
    curves = Curves(points((1, 0, {"a": 1.0})))

    fresh = curves.add(points((1, 1, {"a": 2.0, "b": 3.0})))

    assert [("a", [2.0]), ("b", [3.0])] == [(line.metric, line.values) for line in fresh]
    assert [1.0, 2.0] == curves.of("a")[0].values


def test_a_long_line_stays_bounded_and_keeps_its_peak():
    count = 5 * LIMIT
    rows = [(1, i, {"a": 1000.0 if i == 777 else math.sin(i)}) for i in range(count)]

    line = Curves(points(*rows)).of("a")[0]

    assert len(line.values) <= LIMIT
    assert 1000.0 in line.values
    assert (0.0, count - 1.0) == (line.steps[0], line.steps[-1])


def test_values_that_are_no_number_are_not_drawn():
    curves = Curves(points((1, 0, {"a": math.nan}), (1, 1, {"a": 1.0}), (1, 2, {"a": math.inf})))

    assert ([1.0], [1.0]) == curves.xy(curves.of("a")[0])


def test_thinning_keeps_both_ends():
    kept = thinned([0.0] * 100, 10)

    assert (0, 99) == (kept[0], kept[-1])
    assert len(kept) <= 12


def test_a_recalled_point_that_comes_late_does_not_run_backwards():
    curves = Curves(points((1, 1, {"a": 1.0}), (1, 4, {"a": 4.0})))
    late = Point(attempt=1, time=100.5, step=2, metrics={"a": 2.0}, recalled=True)
    newer = Point(attempt=1, time=105.0, step=5, metrics={"a": 5.0}, recalled=True)
    assert [[5.0]] == [line.values for line in curves.add([late, newer])]

    assert "step" == curves.axis
    assert [1.0, 4.0, 5.0] == curves.of("a")[0].values
