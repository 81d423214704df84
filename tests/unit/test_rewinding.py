"""Which reports make one curve after attempts and rewinds, and how rewinds are told."""

from mltemporal.database.jobs import Event
from mltemporal.rewinding import awaits_start, holding, rewind_of, rewinds_of, undone, words_of
from mltemporal.specs.orders import Rewind
from mltemporal.views import Point


def points(*places: tuple[int, int | None]) -> list[Point]:
    return [Point(attempt=attempt, time=1.0, step=step) for attempt, step in places]


def held(*places: tuple[int, int | None], rewinds: tuple[Rewind, ...] = ()) -> list[tuple[int, int | None]]:
    return [(point.attempt, point.step) for point in holding(points(*places), rewinds)]


def command(message: str, attempt: int = 2) -> Event:
    return Event(time=1.0, kind="command", attempt=attempt, message=message)


def test_each_step_is_there_once_a_newer_attempt_takes_over_from_its_first_step_on() -> None:
    first = [(1, step) for step in range(46)]
    second = [(2, step) for step in range(40, 60)]
    third = [(3, step) for step in range(50, 100)]
    steps = held(*first, *second, *third)
    assert list(range(100)) == [step for _, step in steps]
    assert [40, 10, 50] == [sum(attempt == number for attempt, _ in steps) for number in (1, 2, 3)]


def test_an_attempt_that_begins_anew_leaves_nothing_of_the_ones_before() -> None:
    assert [(3, 0), (3, 1)] == held((1, 0), (1, 1), (2, 1), (2, 2), (3, 0), (3, 1))


def test_a_report_without_a_step_goes_with_the_step_before_it() -> None:
    assert [(1, None), (1, 3), (1, None), (2, 5)] == held(
        (1, None), (1, 3), (1, None), (1, 5), (1, None), (2, 5)
    )


def test_reports_without_any_steps_all_hold() -> None:
    assert [(1, None), (2, None)] == held((1, None), (2, None))


def test_a_rewind_undoes_what_came_after_the_place_it_went_to() -> None:
    reports = [(1, step) for step in range(6)]
    assert [0, 1, 2, 3] == [step for _, step in held(*reports, rewinds=(Rewind(after=1, to="step", step=3),))]
    assert [] == held(*reports, (1, None), rewinds=(Rewind(after=1, to="validated"),))
    assert [(2, 4)] == held(*reports, (2, 4), rewinds=(Rewind(after=1, to="validated"),))


def test_the_words_of_the_history_are_read_back() -> None:
    assert Rewind(after=2, to="validated") == rewind_of(command(words_of("validated")))
    assert Rewind(after=2, to="step", step=0) == rewind_of(command(words_of(0)))
    assert rewind_of(command("retry")) is None
    assert rewind_of(command("rewind to 'validated' refused: it runs")) is None
    assert rewind_of(Event(time=1.0, kind="note", message=words_of("validated"))) is None


def test_a_rewind_that_came_to_nothing_is_none() -> None:
    events = [command(words_of(7)), command(words_of("fitted")), command(undone(words_of("fitted")))]
    assert [Rewind(after=2, to="step", step=7)] == rewinds_of(events)


def test_a_retry_that_nothing_has_followed_awaits_its_workflow() -> None:
    began, ended = (Event(time=1.0, kind=kind, attempt=1, message="") for kind in ("attempt", "finished"))
    attached = Event(time=1.0, kind="attached", message="")
    assert not awaits_start([began, ended])
    assert awaits_start([began, ended, command("retry"), attached])
    assert not awaits_start([began, ended, command("retry"), began])
    assert not awaits_start([began, command("pause")])
