"""One local process as files: seen rightly, and never mistaken for another."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from mltemporal.errors import ServiceUnavailable
from mltemporal.launchers import keeper
from mltemporal.launchers.base import Phase
from mltemporal.launchers.folder import ProcessFolder, _ending
from mltemporal.launchers.warm import WarmInterpreters

Place = Callable[..., ProcessFolder]


def keep(folder: ProcessFolder) -> subprocess.Popen[bytes]:
    """Start a keeper as the launcher does."""
    return subprocess.Popen([sys.executable, "-I", "-S", keeper.__file__, str(folder.path)])


SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.mark.parametrize(
    ("code", "phase", "reason"),
    [
        (0, Phase.SUCCEEDED, ""),
        (1, Phase.FAILED, "exit code 1"),
        (127, Phase.FAILED, "exit code 127"),
        (255, Phase.FAILED, "exit code 255"),
        (143, Phase.INTERRUPTED, "killed by SIGTERM"),
        (-15, Phase.INTERRUPTED, "killed by SIGTERM"),
        (-11, Phase.INTERRUPTED, "killed by SIGSEGV"),
        (
            137,
            Phase.INTERRUPTED,
            "killed by SIGKILL (by a person, or by the system because memory ran out)",
        ),
    ],
)
def test_an_exit_code_is_said_in_words(code: int, phase: Phase, reason: str) -> None:
    assert (phase, reason, code) == ((seen := _ending(code)).phase, seen.reason, seen.exit_code)


def test_an_order_that_was_not_started_is_queued(place: Place) -> None:
    folder = place()
    assert (True, False, Phase.QUEUED) == (folder.exists, folder.started, folder.look().phase)


def test_orders_are_sorted_by_when_they_came(place: Place) -> None:
    first, second, third = place(), place(), place()
    assert [first, second, third] == sorted([third, first, second], key=lambda folder: folder.queued_at)


def test_the_first_order_of_a_folder_stands(place: Place) -> None:
    folder = place()
    before = (folder.path / "order.json").read_text()
    folder.place({"argv": ["other"]})
    assert before == (folder.path / "order.json").read_text()


async def test_a_process_is_followed_from_queue_to_end(place: Place) -> None:
    folder = place(SLEEP)
    await folder.run(WarmInterpreters())
    assert Phase.RUNNING is folder.look().phase
    folder.terminate()
    assert await folder.ended(30)
    assert (Phase.INTERRUPTED, -15) == ((seen := folder.look()).phase, seen.exit_code)


async def test_a_process_that_was_written_down_hears_signals_at_once(place: Place) -> None:
    for _ in range(5):
        folder = place("import time; time.sleep(600)")
        await folder.run(WarmInterpreters())
        folder.terminate()
        assert await folder.ended(10)


def test_a_process_id_that_another_process_has_now_is_not_signalled(place: Place) -> None:
    """What was written down ended, and its id was given to a process of somebody else."""
    folder = place()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    gone = [other.pid, "another boot:12345"]
    keeper.write_json(str(folder.path / "process.json"), {"keeper": gone, "training": gone})
    assert Phase.INTERRUPTED is folder.look().phase
    folder.terminate()
    folder.kill()
    assert other.poll() is None
    other.communicate(b"\n")
    assert 0 == other.returncode


async def test_an_order_that_is_taken_back_never_runs(place: Place) -> None:
    folder = place("print('ran')")
    await folder.give_up()
    assert Phase.INTERRUPTED is folder.look().phase
    await folder.run(WarmInterpreters())
    assert b"" == folder.read(0)


async def test_taking_back_what_runs_leaves_it_running(place: Place) -> None:
    folder = place(SLEEP)
    await folder.run(WarmInterpreters())
    await folder.give_up()
    assert Phase.RUNNING is folder.look().phase


async def test_taking_back_in_the_moment_of_the_start_does_one_of_the_two(
    place: Place,
) -> None:
    """Either it never runs, or it runs and is known: never an ended record over a live process."""
    seen = set()
    for delay_s in (0, 0.01, 0.02, 0.03, 0.04, 0.06):
        folder = place(SLEEP)
        process = keep(folder)
        await asyncio.sleep(delay_s)
        await folder.give_up()
        ran = (folder.path / "process.json").exists()
        seen.add(ran)
        if ran:
            assert Phase.RUNNING is folder.look().phase
            folder.kill()
        assert 0 == await asyncio.to_thread(process.wait, 30)
        assert Phase.INTERRUPTED is folder.look().phase
        assert ran == (folder.path / "process.json").exists()
    assert seen


async def test_an_order_that_nobody_can_start_is_an_error_that_is_tried_again(place: Place) -> None:
    folder = place()
    (folder.path / "lock").mkdir()
    with pytest.raises(ServiceUnavailable) as caught:
        await folder.run(WarmInterpreters())
    assert f"the keeper of {folder.name!r} started no training (exit code 1)" == caught.value.what
    assert Phase.QUEUED is folder.look().phase


async def test_a_suspended_process_is_seen_as_such_until_it_goes_on(place: Place) -> None:
    folder = place(SLEEP)
    await folder.run(WarmInterpreters())
    folder.suspend()
    assert Phase.SUSPENDED is folder.look().phase
    folder.resume()
    assert Phase.RUNNING is folder.look().phase
    folder.suspend()
    folder.kill()
    assert await folder.ended(10)
    assert (Phase.INTERRUPTED, -signal.SIGKILL) == ((seen := folder.look()).phase, seen.exit_code)
