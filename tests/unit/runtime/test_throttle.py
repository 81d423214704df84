from typing import Any

from mltemporal.runtime.throttle import Throttle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def throttle_of(sent: list[dict[str, Any]], clock: Clock, burst: int = 2) -> Throttle:
    return Throttle(sent.append, burst=burst, refill_per_s=1, clock=clock)


def offer(throttle: Throttle, **metrics: float) -> None:
    throttle.offer({"metrics": metrics})


def test_a_burst_passes_and_then_the_newest_is_held_back_until_the_flush() -> None:
    sent: list[dict[str, Any]] = []
    throttle = throttle_of(sent, Clock())

    for value in range(5):
        offer(throttle, loss=value)

    assert [{"metrics": {"loss": 0}}, {"metrics": {"loss": 1}}] == sent
    throttle.flush()
    assert {"metrics": {"loss": 4}, "dropped": 2} == sent[-1]


def test_a_report_passes_again_when_time_has_passed_and_tells_how_many_were_dropped() -> None:
    sent: list[dict[str, Any]] = []
    clock = Clock()
    throttle = throttle_of(sent, clock)
    for value in range(4):
        offer(throttle, loss=value)

    clock.now = 1.0
    offer(throttle, loss=9)

    assert {"metrics": {"loss": 9}, "dropped": 2} == sent[-1]
    throttle.flush()
    assert 3 == len(sent)


def test_each_set_of_metrics_keeps_its_own_newest() -> None:
    sent: list[dict[str, Any]] = []
    throttle = throttle_of(sent, Clock(), burst=0)

    offer(throttle, loss=1)
    offer(throttle, accuracy=2)
    offer(throttle, loss=3)
    throttle.flush()

    assert [{"accuracy": 2}, {"loss": 3}] == [fields["metrics"] for fields in sent]


def test_names_that_never_repeat_do_not_pile_up() -> None:
    sent: list[dict[str, Any]] = []
    throttle = throttle_of(sent, Clock(), burst=0)

    for number in range(1000):
        offer(throttle, **{f"m{number}": 1})
    throttle.flush()

    assert 16 == len(sent)
    assert 984 == sent[-1]["dropped"]


def test_what_is_held_back_goes_out_by_itself_when_no_report_follows() -> None:
    import threading

    sent: list[dict[str, Any]] = []
    arrived = threading.Event()

    def sink(fields: dict[str, Any]) -> None:
        sent.append(fields)
        if len(sent) == 2:
            arrived.set()

    throttle = Throttle(sink, burst=1, refill_per_s=100)
    offer(throttle, loss=1)
    offer(throttle, loss=2)

    assert arrived.wait(10)
    assert [{"loss": 1}, {"loss": 2}] == [fields["metrics"] for fields in sent]


def test_a_full_disk_does_not_end_the_training() -> None:
    def sink(_fields: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    throttle = Throttle(sink, burst=1, refill_per_s=1, clock=Clock())

    offer(throttle, loss=1)
