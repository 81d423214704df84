"""A graceful stop lets what is being written be written."""

import signal

import pytest

from mltemporal.runtime import stopping


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch):
    """A process is asked to stop once; this one lives on."""
    monkeypatch.setattr(stopping, "_asked", False)
    handler = signal.getsignal(signal.SIGTERM)
    stopping.stop_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, handler)


def test_a_stop_waits_for_the_end_of_a_write() -> None:
    written = []

    def write() -> None:
        with stopping.uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            written.append("whole")

    with pytest.raises(stopping.Stopped):
        write()
    assert ["whole"] == written


def test_after_the_stop_a_last_write_is_possible() -> None:
    with pytest.raises(stopping.Stopped):
        signal.raise_signal(signal.SIGTERM)
    with stopping.uninterrupted():
        written = "the last checkpoint"
    assert "the last checkpoint" == written


def test_a_write_within_a_deferred_block_leaves_the_deferring_to_it() -> None:
    reached = []

    def work() -> None:
        with stopping.deferred():
            with stopping.uninterrupted():
                signal.raise_signal(signal.SIGTERM)
            reached.append("the end of the outer block")

    with pytest.raises(stopping.Stopped):
        work()
    assert ["the end of the outer block"] == reached
