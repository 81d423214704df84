"""What must hold for every launcher; each implementation's test module derives from this class."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from mltemporal.errors import NotFound
from mltemporal.launchers.base import Launcher, Phase, Sighting
from mltemporal.specs.request import JobSpec

MakeSpec = Callable[[str], JobSpec]
"""Makes a job of a Python script's text."""

FOREVER = "import time\nprint('up', flush=True)\ntime.sleep(600)"
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))
print('up', flush=True)
while True:
    time.sleep(0.1)
"""


async def followed(launcher: Launcher, name: str, position: int = 0) -> tuple[bytes, Sighting]:
    """Return all output and the last sighting."""
    output = b""
    async for seen in launcher.follow(name, position):
        output += seen.output
    return output, seen


async def until_it_says(launcher: Launcher, name: str, words: bytes) -> None:
    """Follow until ``words`` were printed."""
    output = b""
    async with contextlib.aclosing(launcher.follow(name, 0)) as sightings:
        async for seen in sightings:
            output += seen.output
            assert not seen.phase.final, output.decode()
            if words in output:
                return


class LauncherContract:
    """Derived classes give the fixtures ``launcher`` and ``make_spec``."""

    @pytest.fixture
    async def running(self, launcher: Launcher, make_spec: MakeSpec) -> AsyncIterator[str]:
        """The name of a process that is up and would run for ever."""
        spec = make_spec(FOREVER)
        await launcher.start(spec, 1)
        await until_it_says(launcher, f"{spec.key}-1", b"up\n")
        yield f"{spec.key}-1"
        await launcher.stop(f"{spec.key}-1", 0)

    async def test_a_process_runs_to_its_end_and_its_output_is_followed(self, launcher, make_spec):
        spec = make_spec("print('one'); print('two')")
        await launcher.start(spec, 1)
        output, end = await followed(launcher, f"{spec.key}-1")
        assert b"one\n" in output, (output, end)
        assert b"two\n" in output
        assert (end.phase, end.exit_code, end.position) == (Phase.SUCCEEDED, 0, len(output))

    async def test_starting_twice_under_one_name_starts_once(self, launcher, make_spec):
        spec = make_spec("import os; print('process', os.getpid())")
        await asyncio.gather(*(launcher.start(spec, 1) for _ in range(5)))
        output, _ = await followed(launcher, f"{spec.key}-1")
        await launcher.start(spec, 1)
        again, _ = await followed(launcher, f"{spec.key}-1")
        assert output.count(b"process") == 1
        assert again == output

    async def test_following_from_a_position_neither_loses_nor_repeats_a_byte(self, launcher, make_spec):
        spec = make_spec("for i in range(2000): print(i)")
        await launcher.start(spec, 1)
        whole, _ = await followed(launcher, f"{spec.key}-1")
        rest, end = await followed(launcher, f"{spec.key}-1", position=1000)
        assert rest == whole[1000:]
        assert end.position == len(whole)

    async def test_a_failing_process_says_its_exit_code(self, launcher, make_spec):
        spec = make_spec("import os; os._exit(3)")
        await launcher.start(spec, 1)
        _, end = await followed(launcher, f"{spec.key}-1")
        assert (end.phase, end.exit_code) == (Phase.FAILED, 3)

    async def test_a_killed_process_was_interrupted(self, launcher, make_spec):
        spec = make_spec("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        await launcher.start(spec, 1)
        _, end = await followed(launcher, f"{spec.key}-1")
        assert end.phase is Phase.INTERRUPTED
        assert "SIGKILL" in end.reason

    async def test_stopping_gives_the_process_time_to_finish(self, launcher, make_spec):
        spec = make_spec(
            "import time\ntry:\n    print('up', flush=True)\n    time.sleep(600)\n"
            "finally:\n    print('tidied', flush=True)"
        )
        await launcher.start(spec, 1)
        await until_it_says(launcher, f"{spec.key}-1", b"up\n")
        (output, end), _ = await asyncio.gather(
            followed(launcher, f"{spec.key}-1"), launcher.stop(f"{spec.key}-1", 20)
        )
        assert b"tidied" in output
        assert end.phase is Phase.INTERRUPTED

    async def test_stopping_a_process_that_will_not_end_kills_it_after_the_grace(self, launcher, make_spec):
        spec = make_spec(STUBBORN)
        await launcher.start(spec, 1)
        await until_it_says(launcher, f"{spec.key}-1", b"up\n")
        (output, end), _ = await asyncio.gather(
            followed(launcher, f"{spec.key}-1"), launcher.stop(f"{spec.key}-1", 0.3)
        )
        assert b"no\n" in output
        assert end.phase is Phase.INTERRUPTED

    async def test_a_suspended_process_stands_still_until_it_is_resumed(self, launcher, make_spec):
        spec = make_spec(
            "import time\nfor i in range(10_000):\n    print(i, flush=True)\n    time.sleep(0.01)"
        )
        name = f"{spec.key}-1"
        await launcher.start(spec, 1)
        await until_it_says(launcher, name, b"5\n")
        await launcher.suspend(name)
        assert (await launcher.find(name)).phase is Phase.SUSPENDED
        said = [seen async for seen in _some(launcher.follow(name, 0), 2)][-1].position
        later = [seen async for seen in _some(launcher.follow(name, 0), 2)][-1].position
        assert later == said
        await launcher.resume(name)
        async with asyncio.timeout(30):
            while (await launcher.find(name)).phase is not Phase.RUNNING:
                await asyncio.sleep(0.05)
        await launcher.stop(name, 0)

    async def test_a_suspended_process_can_be_stopped(self, launcher, running):
        await launcher.suspend(running)
        await launcher.stop(running, 10)
        assert (await launcher.find(running)).phase is Phase.INTERRUPTED

    async def test_what_a_process_left_running_ends_with_it(self, launcher, make_spec, tmp_path):
        spec = make_spec(
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "print('child', child.pid, flush=True)"
        )
        await launcher.start(spec, 1)
        output, _ = await followed(launcher, f"{spec.key}-1")
        pid = int(output.split(b"child ")[1].split()[0])
        assert await _gone(pid)

    async def test_deleting_forgets_an_ended_process_and_leaves_a_running_one(self, launcher, running):
        await launcher.delete(running)
        assert running in await launcher.names()
        await launcher.stop(running, 0)
        await launcher.delete(running)
        assert running not in await launcher.names()
        assert await launcher.find(running) is None

    async def test_a_name_that_is_unknown_is_not_found_and_can_be_stopped_and_deleted(self, launcher):
        assert await launcher.find("training-none-1") is None
        await launcher.stop("training-none-1", 0)
        await launcher.suspend("training-none-1")
        await launcher.resume("training-none-1")
        await launcher.allow("training-none-1", 60)
        await launcher.delete("training-none-1")
        with pytest.raises(NotFound):
            await followed(launcher, "training-none-1")


async def _some(sightings: AsyncIterator[Sighting], count: int) -> AsyncIterator[Sighting]:
    async with contextlib.aclosing(sightings):
        async for seen in sightings:
            yield seen
            count -= 1
            if not count:
                return


async def _gone(pid: int) -> bool:
    from mltemporal.launchers.keeper import start_mark

    for _ in range(200):
        if start_mark(pid) is None:
            return True
        await asyncio.sleep(0.02)
    return False
