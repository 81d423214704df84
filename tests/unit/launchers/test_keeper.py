"""The keeper: one order, one training, one written end."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltemporal.launchers import keeper
from mltemporal.launchers.base import Phase
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.launchers.keeper import start_mark

Place = Callable[..., ProcessFolder]


def keep(folder: ProcessFolder, **options: Any) -> subprocess.Popen[bytes]:
    """Start a keeper as the launcher does."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, str(folder.path)],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )


def test_a_start_mark_names_one_process_for_its_life() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine, its = start_mark(os.getpid()), start_mark(child.pid)
    assert None not in (mine, its)
    assert its == start_mark(child.pid)
    child.communicate(b"\n")
    assert start_mark(child.pid) is None


def test_a_process_that_ended_and_was_not_waited_for_has_no_mark(until: Callable[..., Any]) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    until(lambda: start_mark(child.pid) is None)
    child.wait()


def test_two_keepers_of_one_folder_run_the_order_once(place: Place) -> None:
    folder = place("import os, time; print('ran', os.getpid(), flush=True); time.sleep(0.3)")
    keepers = [keep(folder) for _ in range(6)]
    assert [0] * 6 == [process.wait(30) for process in keepers]
    assert 1 == folder.read(0).count(b"ran")
    assert Phase.SUCCEEDED is folder.look().phase


def test_an_order_that_ran_is_not_run_again(place: Place) -> None:
    folder = place("print('ran')")
    for _ in range(2):
        assert 0 == keep(folder).wait(30)
    assert b"ran\n" == folder.read(0)


def test_an_order_that_was_taken_back_is_not_run(place: Place) -> None:
    folder = place("print('ran')")
    keeper.write_json(str(folder.path / "exit.json"), {"code": -15})
    assert 0 == keep(folder).wait(30)
    assert b"" == folder.read(0)


def test_a_killed_keeper_leaves_its_training_running_and_nobody_runs_it_twice(
    place: Place, until: Callable[..., Any]
) -> None:
    folder = place("import time; print('ran', flush=True); time.sleep(600)")
    first = keep(folder)
    until(lambda: folder.read(0))
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert Phase.RUNNING is folder.look().phase
    assert 0 == keep(folder).wait(30)
    assert b"ran\n" == folder.read(0)
    folder.kill()
    until(lambda: folder.look().phase is Phase.INTERRUPTED)
    assert "its process is gone and nobody saw how it ended" == folder.look().reason


def test_a_training_that_could_not_be_written_down_does_not_run(place: Place, tmp_path: Path) -> None:
    """A keeper that may write no file stands for one whose disk is full."""
    folder = place(f"open({str(tmp_path / 'ran')!r}, 'w')")
    unwritable = keep(
        folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        stderr=subprocess.DEVNULL,
    )
    assert 1 == unwritable.wait(30)
    assert not folder.started
    assert not (tmp_path / "ran").exists()
    assert 0 == keep(folder).wait(30), "the next keeper can"
    assert (tmp_path / "ran").exists()


def test_the_training_ignores_what_ends_its_keeper_s_group(place: Place, until: Callable[..., Any]) -> None:
    folder = place("import time; print('up', flush=True); time.sleep(600)")
    process = keep(folder)
    until(lambda: folder.read(0))
    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert Phase.RUNNING is folder.look().phase


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"argv": ["/no/such/python", "-V"]}, b"No such file or directory: '/no/such/python'"),
        ({"cwd": "/no/such/folder"}, b"No such file or directory: '/no/such/folder'"),
    ],
)
def test_what_cannot_be_started_fails_and_says_why(place: Place, order: dict[str, Any], words: bytes) -> None:
    folder = place(**order)
    keep(folder).wait(30)
    assert (Phase.FAILED, 127) == ((seen := folder.look()).phase, seen.exit_code)
    assert b"the training could not be started" in folder.read(0)
    assert words in folder.read(0)


def test_a_training_gets_no_descriptors_but_its_output_and_its_lock(place: Place) -> None:
    mine = "/proc/self/fd"
    folder = place(
        f"import os; print(sorted(os.readlink(f'{mine}/{{n}}') for n in os.listdir('{mine}')[:-1]))"
    )
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("there is no /proc here")
    keep(folder).wait(30)
    output = str(folder.path / "output.log")
    expected = sorted(["/dev/null", output, output, str(folder.path / "lock")])
    assert f"{expected}\n" == folder.read(0).decode()


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for value in ({"a": 1}, {"b": [2]}):
        keeper.write_json(str(path), value)
        assert value == json.loads(path.read_text())
    assert 0o600 == path.stat().st_mode & 0o777
    assert [path] == list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from mltemporal.launchers import keeper\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "keeper.write_json(sys.argv[1], ['x' * 100_000])\n"
    )
    path = tmp_path / "file.json"
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert "File too large" in ended.stderr
    assert [] == list(tmp_path.iterdir())
