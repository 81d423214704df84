"""The folder of a stack, and its locks."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from mltemporal.errors import InvalidRequest, StackError
from mltemporal.stack.home import changing, is_locked, prepare_home, try_lock


def test_the_home_is_made_private(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    prepare_home(home)
    prepare_home(home)
    assert 0o700 == home.stat().st_mode & 0o777
    assert 0o700 == (home / "stack").stat().st_mode & 0o777


def test_a_file_in_the_place_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(InvalidRequest) as caught:
        prepare_home(tmp_path / "home")
    assert (
        f"the home {str(tmp_path / 'home')!r} is not a directory: a file is in its place\n"
        "Next step: set MLTEMPORAL_HOME to a directory of yours on a local disk"
    ) == str(caught.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write")
def test_a_home_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StackError, match=r"the home '/proc/mltemporal' cannot be written: "):
        prepare_home(Path("/proc/mltemporal"))


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"the path of the home .* is too long"):
        prepare_home(tmp_path / ("long" * 100))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 5 * 1024**2))
    with pytest.raises(StackError) as caught:
        prepare_home(tmp_path)
    assert (
        f"the disk of the home {str(tmp_path)!r} is full: 5 MB are free, 200 MB are needed"
        == caught.value.what
    )


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from mltemporal.stack.home import try_lock\n"
        "try_lock(Path(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert b"held\n" == holder.stdout.readline()
        assert is_locked(lock)
        assert try_lock(lock) is None
        holder.kill()
    assert not is_locked(lock)


def test_asking_for_a_lock_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert [] == list(tmp_path.iterdir())


def test_whoever_waits_too_long_to_start_is_told(tmp_path: Path) -> None:
    files = prepare_home(tmp_path)
    held = try_lock(files.change_lock)
    assert held is not None
    with (
        pytest.raises(StackError, match="still starting or stopping"),
        changing(files, 0.05),
    ):
        pass
    os.close(held)
    with changing(files, 0.05):
        assert is_locked(files.change_lock)
    assert not is_locked(files.change_lock)
