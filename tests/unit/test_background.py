"""One loop for everything of ours: plain calls outside, interruptible, with nothing lost."""

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from mltemporal import background

CELL: contextvars.ContextVar[str] = contextvars.ContextVar("cell", default="none")


async def answer(value: int = 7) -> int:
    return value


async def answer_when(told: threading.Event) -> int:
    while not told.is_set():
        await asyncio.sleep(0.01)
    return 7


def test_a_coroutine_s_result_and_error_come_back() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    assert 7 == background.run(answer())
    with pytest.raises(ZeroDivisionError):
        background.run(fail())


def test_threads_that_come_first_at_once_share_one_loop() -> None:
    background._loop.cache_clear()
    start = threading.Barrier(8)
    loops = []

    def ask() -> None:
        start.wait()
        loops.append(background.loop())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(set(map(id, loops)))


def test_nothing_of_the_calling_cell_goes_along() -> None:
    async def cell() -> str:
        return CELL.get()

    CELL.set("mine")
    assert "none" == background.run(cell())


def test_a_timeout_ends_the_waiting_and_nothing_else() -> None:
    told = threading.Event()
    future = background.submit(answer_when(told))
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        background.wait(future, 0.3)
    assert 0.3 <= time.monotonic() - started
    assert not future.done()
    told.set()
    assert 7 == background.wait(future, None)


@pytest.mark.parametrize("timeout", [0, -1])
def test_what_is_done_needs_no_time(timeout: float) -> None:
    future = background.submit(answer())
    background.wait(future, None)
    assert 7 == background.wait(future, timeout)


def test_a_result_that_comes_in_the_moment_of_the_timeout_counts() -> None:
    class InTheLastMoment(Future[int]):
        """Is not done when asked for its result, and done when asked whether it is."""

        def result(self, timeout: float | None = None) -> int:
            if timeout is None:
                return super().result()
            self.set_result(7)
            raise TimeoutError

    assert 7 == background.wait(InTheLastMoment(), 0)


def test_a_timeout_of_the_work_itself_is_its_error() -> None:
    async def too_late() -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        background.run(too_late())


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A kernel hears of Ctrl-C; a run of the tests in a shell's background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_waiting_soon_and_the_work_goes_on() -> None:
    told = threading.Event()
    future = background.submit(answer_when(told))
    interrupt = threading.Timer(
        0.1, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    )
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        background.wait(future, None)
    assert not future.done()
    told.set()
    assert 7 == background.wait(future, 10)
    interrupt.join()
