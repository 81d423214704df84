"""Warm interpreters: one for each start-up environment, and never a stale one."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mltemporal.launchers.folder import ProcessFolder
from mltemporal.launchers.keeper import start_mark
from mltemporal.launchers.warm import WarmInterpreters, _key

Place = Callable[..., ProcessFolder]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forking is safe on Linux only")


@pytest.fixture
def warm() -> Iterator[WarmInterpreters]:
    interpreters = WarmInterpreters()
    yield interpreters
    interpreters.close()


def order(python: str = sys.executable, **env: str) -> dict[str, Any]:
    argv = [python, "-m", "mltemporal.runtime", "/no/storage", "training-1", "1"]
    return {"argv": argv, "cwd": "/", "env": {**os.environ, **env}}


def fake_python(folder: Path, name: str) -> str:
    """A program that is warm soon and forks nothing."""
    path = folder / name
    path.write_text("#!/bin/sh\nsleep 0.2\necho ready\nexec cat >/dev/null\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("name", "fits"),
    [("OMP_NUM_THREADS", False), ("PYTHONPATH", False), ("TZ", False), ("LC_ALL", False), ("WHO", True)],
)
def test_an_interpreter_fits_orders_whose_start_up_was_the_same(name: str, fits: bool) -> None:
    assert fits == (_key(order()) == _key(order(**{name: "7"})))


def test_another_interpreter_is_another_one() -> None:
    assert _key(order()) != _key(order("/usr/bin/other"))


def test_the_first_order_starts_cold_and_the_next_one_is_warm(
    warm: WarmInterpreters, tmp_path: Path, until: Callable[..., Any]
) -> None:
    wanted = order(fake_python(tmp_path, "python"))
    assert not warm.run("/no/folder", wanted)
    until(lambda: warm.ready)
    assert warm.run("/no/folder", wanted)
    assert not warm.ended(wanted)


def test_only_trainings_run_warm(warm: WarmInterpreters) -> None:
    assert not warm.run("/no/folder", {**order(), "argv": [sys.executable, "-c", "pass"]})
    assert not warm.ready


def test_the_two_used_last_are_kept(
    warm: WarmInterpreters, tmp_path: Path, until: Callable[..., Any]
) -> None:
    orders = [order(fake_python(tmp_path, f"python{i}")) for i in range(3)]
    for wanted in orders[:2]:
        warm.run("/no/folder", wanted)
        until(lambda wanted=wanted: warm._servers[_key(wanted)].ready)
    first = warm._servers[_key(orders[0])]
    second = warm._servers[_key(orders[1])]
    assert warm.run("/no/folder", orders[0])  # used again: now the second is the one used longest ago
    warm.run("/no/folder", orders[2])
    until(lambda: second.ended)
    assert not first.ended
    assert [True, False] == [warm.ended(orders[1]), warm.ended(orders[0])]


def test_an_interpreter_that_died_is_replaced(
    warm: WarmInterpreters, tmp_path: Path, until: Callable[..., Any]
) -> None:
    wanted = order(fake_python(tmp_path, "python"))
    warm.run("/no/folder", wanted)
    until(lambda: warm.ready)
    warm._servers[_key(wanted)]._process.kill()
    until(lambda: warm.ended(wanted))
    warm.run("/no/folder", wanted)
    until(lambda: warm.ready)
    assert not warm.ended(wanted)


WORKER = """
import json, sys, time
from mltemporal.launchers.warm import WarmInterpreters
warm = WarmInterpreters()
warm.run("/no/folder", json.loads(sys.argv[1]))
time.sleep(600)
"""


def test_an_interpreter_ends_with_a_killed_worker_while_it_imports(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    packages, importing = tmp_path / "packages", tmp_path / "importing"
    packages.mkdir()
    (packages / "pandas.py").write_text(
        f"import os, time\nopen({str(importing)!r}, 'w').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    )
    worker = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(order(PYTHONPATH=str(packages)))])
    until(lambda: importing.exists() and importing.read_text().endswith("\n"))
    interpreter = int(importing.read_text())
    assert start_mark(interpreter) is not None
    worker.kill()
    worker.wait()
    until(lambda: start_mark(interpreter) is None)


@pytest.mark.timeout(300)  # it imports only while nobody else wants the processor
async def test_after_a_package_was_installed_a_job_starts_cold(
    warm: WarmInterpreters, place: Place, tmp_path: Path
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    wanted = order(PYTHONPATH=str(packages))
    assert not warm.run("/no/folder", wanted)
    async with asyncio.timeout(240):
        while not warm.ready:
            await asyncio.sleep(0.02)
    (packages / "installed_since.py").write_text("")
    folder = place(**wanted)
    await folder.run(warm)
    assert folder.started, "a cold start took over"
    assert warm.ended(wanted)
    assert await folder.ended(30)
    assert b"/no/storage" in folder.read(0)
