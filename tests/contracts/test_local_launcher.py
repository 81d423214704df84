"""The local launcher keeps the launchers' contract, started cold and from a warm interpreter."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from contracts.launcher import FOREVER, LauncherContract, followed, until_it_says

from mltemporal.errors import InvalidRequest
from mltemporal.launchers import keeper
from mltemporal.launchers.base import Phase
from mltemporal.launchers.local import KernelContext, LocalLauncher
from mltemporal.specs.request import PodOptions, Resources, SecretRef

WORKER = """
import asyncio, sys
from pathlib import Path
from mltemporal.launchers.local import LocalLauncher
from mltemporal.storage.content import Storage
from mltemporal.specs.request import JobSpec

async def work(home, url, *keys):
    launcher = LocalLauncher(Path(home), url, max_jobs=2)
    for key in keys:
        await launcher.start(Storage(url).get_note(key, "spec", JobSpec), 1)
        while not launcher.warm:
            await asyncio.sleep(0.05)
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(work(*sys.argv[1:]))
"""
"""Starts jobs, one after the other, as a worker does: all but the first from a warm interpreter."""


def is_warm(process):
    """Whether the process is a warm interpreter, or was forked from one."""
    return "mltemporal.launchers.forkserver" in process.cmdline()


class TestLocalLauncher(LauncherContract):
    @pytest.fixture
    async def launcher(self, tmp_path, storage):
        launcher = LocalLauncher(tmp_path / "home", storage.url, max_jobs=2)
        yield launcher
        await launcher.close()

    @pytest.fixture
    def make_spec(self, launcher, store_script):
        def make(text):
            spec = store_script(text)
            launcher.prepare(spec.key, KernelContext.here())
            return spec

        return make

    async def test_jobs_beyond_the_limit_wait_their_turn_and_say_so(self, launcher, make_spec):
        first, second, third, fourth = (make_spec(FOREVER) for _ in range(4))
        for spec in (first, second, third, fourth):
            await launcher.start(spec, 1)
        waiting = await launcher.find(f"{fourth.key}-1")
        assert waiting.phase is Phase.QUEUED
        assert waiting.reason == "waiting for a free slot: 1 ahead, 2 local jobs may run at once"
        await launcher.stop(f"{first.key}-1", 0)
        await until_it_says(launcher, f"{third.key}-1", b"up\n")
        assert (await launcher.find(f"{fourth.key}-1")).phase is Phase.QUEUED
        for spec in (fourth, second, third):
            await launcher.stop(f"{spec.key}-1", 0)
        assert (await launcher.find(f"{fourth.key}-1")).phase is Phase.INTERRUPTED

    async def test_what_a_killed_worker_left_half_deleted_is_never_started_again(
        self, launcher, make_spec, tmp_path, monkeypatch
    ):
        class Killed(BaseException):
            pass

        def killed(path):
            (path / "exit.json").unlink()
            (path / "process.json").unlink()
            raise Killed

        again = tmp_path / "again"
        once, other = make_spec(f"open({str(again)!r}, 'a').write('x')"), make_spec("print('other')")
        await launcher.start(once, 1)
        await followed(launcher, f"{once.key}-1")
        with monkeypatch.context() as dying:
            dying.setattr("mltemporal.launchers.local.shutil.rmtree", killed)
            with pytest.raises(Killed):
                await launcher.delete(f"{once.key}-1")
        await launcher.start(other, 1)
        await followed(launcher, f"{other.key}-1")
        assert "x" == again.read_text()
        assert [f"{other.key}-1"] == await launcher.names()
        await launcher.delete(f"{other.key}-1")
        assert [] == [*(tmp_path / "home").glob("jobs*/*/*")]

    async def test_one_that_cannot_be_started_keeps_none_waiting_behind_it(
        self, launcher, store_script, make_spec, tmp_path
    ):
        """Its Python was removed while it waited; another's order was cut off by a full disk."""
        gone, damaged, sound = store_script("print('gone')"), make_spec(FOREVER), make_spec("print('sound')")
        launcher.prepare(gone.key, replace(KernelContext.here(), python=str(tmp_path / "removed/python")))
        running = [make_spec(FOREVER) for _ in range(2)]
        for spec in running:
            await launcher.start(spec, 1)
        for spec in (gone, damaged, sound):
            await launcher.start(spec, 1)
        (tmp_path / "home/jobs" / f"{damaged.key}-1" / "order.json").write_bytes(b"")
        await launcher.stop(f"{running[0].key}-1", 0)
        output, end = await followed(launcher, f"{sound.key}-1")
        assert (Phase.SUCCEEDED, True) == (end.phase, b"sound\n" in output)
        output, end = await followed(launcher, f"{gone.key}-1")
        assert (Phase.FAILED, 127) == (end.phase, end.exit_code)
        assert b"removed/python" in output
        _, end = await followed(launcher, f"{damaged.key}-1")
        assert (Phase.INTERRUPTED, "the order to start it is damaged") == (end.phase, end.reason)
        await launcher.stop(f"{running[1].key}-1", 0)

    async def test_another_launcher_of_the_same_home_adopts_a_running_process(
        self, launcher, running, tmp_path, storage
    ):
        other = LocalLauncher(tmp_path / "home", storage.url, max_jobs=2)
        assert (await other.find(running)).phase is Phase.RUNNING
        await other.stop(running, 5)
        assert (await launcher.find(running)).phase is Phase.INTERRUPTED

    async def test_a_process_has_the_environment_and_directory_of_the_kernel(
        self, launcher, store_script, tmp_path
    ):
        spec = store_script("import os, sys\nprint(os.environ['WHO'], os.getcwd(), sys.executable)")
        context = KernelContext.here()
        there = tmp_path / "elsewhere"
        there.mkdir()
        launcher.prepare(
            spec.key,
            KernelContext(python=context.python, cwd=str(there), env={**context.env, "WHO": "the kernel"}),
        )
        await launcher.start(spec, 1)
        output, _ = await followed(launcher, f"{spec.key}-1")
        assert f"the kernel {there} {sys.executable}\n".encode() in output

    async def test_files_with_the_environment_are_private_and_forgotten(self, launcher, make_spec, tmp_path):
        spec = make_spec("print('done')")
        kept = tmp_path / "home" / "launch" / f"{spec.key}.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        await launcher.start(spec, 1)
        assert (tmp_path / "home/jobs" / f"{spec.key}-1" / "order.json").stat().st_mode & 0o777 == 0o600
        await followed(launcher, f"{spec.key}-1")
        await launcher.delete(f"{spec.key}-1")
        await launcher.forget(spec.key)
        assert not kept.exists()
        assert await launcher.names() == []

    async def test_an_environment_that_was_half_written_by_a_killed_kernel_is_found_and_forgotten(
        self, launcher, make_spec, tmp_path
    ):
        spec = make_spec("print('done')")
        await launcher.forget(spec.key)
        half = tmp_path / "home" / "launch" / f"{spec.key}.json.4711.new"
        half.write_text("{")
        assert [spec.key] == list(await launcher.kept())
        await launcher.forget(spec.key)
        assert not half.exists()

    async def test_a_killed_script_leaves_no_scratch_folder(self, launcher, make_spec, tmp_path):
        spec = make_spec(
            "import os, signal\nprint(os.environ['MLTEMPORAL_OUTPUT_DIR'], flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        await launcher.start(spec, 1)
        output, _ = await followed(launcher, f"{spec.key}-1")
        folder = tmp_path / "home" / "jobs" / f"{spec.key}-1"
        assert f"\n{folder}/".encode() in output
        await launcher.delete(f"{spec.key}-1")
        assert not folder.exists()

    @pytest.mark.timeout(300)  # it imports only while nobody else wants the processor
    async def test_a_second_job_is_forked_from_a_warm_interpreter(self, launcher, make_spec):
        text = "import sys\nimport numpy as np\nprint('rng', np.random.rand(), 'pandas' in sys.modules)"
        cold = make_spec(text)
        await launcher.start(cold, 1)
        await followed(launcher, f"{cold.key}-1")
        async with asyncio.timeout(240):
            while not launcher.warm:
                await asyncio.sleep(0.05)
        outputs = []
        for spec in (make_spec(text), make_spec(text)):
            await launcher.start(spec, 1)
            output, end = await followed(launcher, f"{spec.key}-1")
            assert end.phase is Phase.SUCCEEDED
            outputs.append(output.split(b"rng ")[1].split())
        assert [warm for _, warm in outputs] == [b"True", b"True"]
        assert outputs[0][0] != outputs[1][0], "two forks must not draw the same numbers"

    @pytest.mark.timeout(300)  # it imports only while nobody else wants the processor
    @pytest.mark.skipif(sys.platform != "linux", reason="forking is safe on Linux only")
    async def test_a_killed_worker_takes_its_warm_interpreter_along_and_no_job(
        self, launcher, make_spec, tmp_path, storage
    ):
        wait = (
            f"import os, time\nprint('up', flush=True)\nwhile not os.path.exists({str(tmp_path / 'go')!r}):\n"
        )
        cold, warm = make_spec("print('cold')"), make_spec(f"{wait}    time.sleep(0.01)\nprint('went on')")
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", WORKER, tmp_path / "home", storage.url, cold.key, warm.key),
            stdout=subprocess.PIPE,
        )
        try:
            assert await worker.stdout.readline() == b"started\n"
            (interpreter,) = filter(is_warm, psutil.Process(worker.pid).children())
            await until_it_says(launcher, f"{warm.key}-1", b"up\n")
        finally:
            worker.kill()
            await worker.wait()
        while keeper.start_mark(interpreter.pid) is not None:
            await asyncio.sleep(0.01)
        kept = json.loads((tmp_path / "home/jobs" / f"{warm.key}-1" / "process.json").read_text())
        assert all(is_warm(psutil.Process(pid)) for pid, _ in kept.values()), "both were forked from it"
        assert [keeper.start_mark(pid) for pid, _ in kept.values()] == [mark for _, mark in kept.values()]
        (tmp_path / "go").touch()
        output, end = await followed(launcher, f"{warm.key}-1")
        assert end.phase is Phase.SUCCEEDED
        assert b"went on\n" in output

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"resources": Resources(cpu=4096)}, "resources ask for 4096 cores"),
            ({"resources": Resources(memory="4Gi")}, "cannot honour resources memory='4Gi'"),
            ({"pod": PodOptions(image="python:3")}, "cannot honour image="),
            ({"pod": PodOptions(nodes=2)}, "cannot honour nodes="),
            ({"pod": PodOptions(packages=("lightgbm",))}, "cannot honour packages="),
            ({"pod": PodOptions(secrets=(SecretRef(name="wandb"),))}, "cannot honour secrets="),
            ({"pod": PodOptions(template={})}, "cannot honour pod_template="),
        ],
    )
    def test_what_a_process_of_this_machine_cannot_have_is_refused(
        self, launcher, store_script, wanted, said
    ):
        with pytest.raises(InvalidRequest, match=said):
            launcher.check(store_script("", **wanted))

    async def test_a_process_that_prints_more_than_a_log_may_hold_fails_in_words(
        self, store_script, tmp_path, storage
    ):
        limited = LocalLauncher(tmp_path / "home", storage.url, max_jobs=1, log_limit_bytes=1 << 20)
        spec = store_script("import sys\nwhile True:\n    sys.stdout.write('x' * 65536)")
        limited.prepare(spec.key, KernelContext.here())
        await limited.start(spec, 1)
        seen = [sighting async for sighting in limited.follow(f"{spec.key}-1", 0)]
        assert seen[-1].phase is Phase.FAILED
        assert "it was ended because it had printed more than a log may hold" in seen[-1].reason
        await limited.delete(f"{spec.key}-1")
        await limited.close()
