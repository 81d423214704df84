import pytest

from mltemporal.notebook.pace import Pace
from mltemporal.views import Point


def reports(*rows, total=100, attempt=1):
    return [Point(attempt=attempt, time=time, step=step, total=total) for time, step in rows]


def test_the_rate_and_the_end_follow_from_the_reports():
    pace = Pace()
    pace.add(reports((10.0, 0), (20.0, 20)))

    assert 2.0 == pace.rate
    assert 20.0 + 80 / 2 == pace.eta_at


def test_only_the_last_minute_counts():
    pace = Pace()
    slow = [(float(t), t) for t in range(100)]
    fast = [(100.0 + t, 100 + 5 * t) for t in range(100)]
    pace.add(reports(*slow, *fast, total=1000))

    assert 5.0 == pytest.approx(pace.rate, abs=0.1)


@pytest.mark.parametrize("rows", [[], [(1.0, 1)], [(1.0, 1), (1.0, 2)], [(1.0, 1), (2.0, 1)]])
def test_too_little_says_nothing(rows):
    pace = Pace()
    pace.add(reports(*rows))

    assert (None, None) == (pace.rate, pace.eta_at)


def test_a_new_attempt_and_a_new_epoch_count_anew():
    pace = Pace()
    pace.add(reports((1.0, 1), (2.0, 2)))
    pace.add(reports((10.0, 1), attempt=2))
    assert None is pace.rate

    pace.add(reports((11.0, 2), (12.0, 0), attempt=2))
    assert None is pace.rate


def test_what_is_read_late_changes_nothing():
    pace = Pace()
    pace.add(reports((10.0, 30), (20.0, 50), attempt=2))
    pace.add(reports((5.0, 29), attempt=1))
    pace.add([Point(attempt=2, time=12.0, step=31, total=100, recalled=True)])
    assert (50, 2.0) == (pace.step, pace.rate)


def test_without_a_total_there_is_a_rate_and_no_end():
    pace = Pace()
    pace.add(reports((0.0, 0), (1.0, 4), total=None))

    assert (4.0, None) == (pace.rate, pace.eta_at)
