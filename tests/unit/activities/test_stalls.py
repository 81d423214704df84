"""When a training that is alive counts as standing still."""

from typing import Any

from mltemporal.views import Point
from mltemporal.workflows.activities.stalls import LEAST_S, Progressing


def point(step: int | None, time: float = 0.0, total: int | None = None) -> Point:
    return Point(attempt=1, time=time, step=step, total=total)


class Life:
    """A training seen each second."""

    def __init__(self, **given: Any) -> None:
        self.progressing = Progressing(**given)
        self.now = 1000.0
        self.latest: Point | None = None

    def pass_(self, seconds: int, *, running: bool = True, stage: str = "training") -> bool:
        """Let time pass; returns whether it stands still at the end."""
        stands = False
        for _ in range(seconds):
            self.now += 1.0
            stands = self.progressing.look(self.now, running=running, stage=stage, latest=self.latest)
        return stands

    def report(self, step: int | None, total: int | None = None) -> None:
        self.latest = point(step, self.now, total)


def test_no_new_step_for_as_long_as_the_job_allows_is_a_standstill() -> None:
    life = Life(after_s=5.0)
    life.report(1)
    assert not life.pass_(6)
    assert life.pass_(2)
    life.report(1)  # the same step again
    assert life.pass_(1)
    life.report(2)
    assert not life.pass_(5)


def test_a_job_that_never_reported_a_step_is_not_judged() -> None:
    life = Life(after_s=5.0)
    assert not life.pass_(100)
    life.report(None)
    assert not life.pass_(100)


def test_after_the_last_step_there_is_nothing_to_wait_for() -> None:
    life = Life(after_s=5.0)
    life.report(3, total=3)
    assert not life.pass_(100)


def test_a_job_that_says_it_does_something_else_is_not_judged_by_its_steps() -> None:
    life = Life(after_s=5.0)
    life.report(3)
    assert not life.pass_(2)
    assert not life.pass_(100, stage="evaluating")
    life.report(4)
    assert life.pass_(7, stage="evaluating"), "it reports steps in this stage too"


def test_time_in_which_it_cannot_run_does_not_count() -> None:
    life = Life(after_s=5.0)
    life.report(1)
    life.pass_(3)
    assert not life.pass_(100, running=False)
    assert not life.pass_(3)
    assert life.pass_(1)


def test_by_default_ten_times_the_usual_time_between_steps_and_a_minute_at_least() -> None:
    quick, slow = Life(), Life()
    for life, each_s in ((quick, 1), (slow, 30)):
        for step in range(5):
            life.report(step)
            life.pass_(each_s)
    assert LEAST_S == quick.progressing.limit_s
    assert 300.0 == slow.progressing.limit_s
    assert quick.pass_(int(LEAST_S) + 1)
    assert not slow.pass_(260)
    assert slow.pass_(20)


def test_one_step_alone_says_nothing_about_the_usual_time() -> None:
    life = Life()
    life.report(1)
    assert not life.pass_(10_000)


def test_a_new_follower_goes_on_counting_from_the_record_once_it_has_settled() -> None:
    life = Life(after_s=60.0)
    life.progressing.recall([point(1, 0.0), point(2, 5.0)], stood_s=600.0)
    assert not life.pass_(10)
    assert life.pass_(2)
    life.report(3)
    assert not life.pass_(60)
