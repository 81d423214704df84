"""Whatever the umask, nobody else can use what lies in the home."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltemporal import stack
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings

KERNEL = """
import os, sys, time
import pandas as pd
import mltemporal

os.umask(0)

def fit(data, where):
    mltemporal.report(step=1, total=2, loss=1.0)
    mltemporal.checkpoint.save({"step": 1}, step=1)
    mltemporal.log_artifact("text", "note")
    with open(f"{where}/written", "w") as file:
        file.write("by the user")
    return {"rows": len(data)}

table = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0] * 10, "y": [0, 1, 0, 1] * 10})
for _ in range(2):  # the first starts cold, the second is forked
    assert mltemporal.train(table, fit, params={"where": sys.argv[1]}, force=True).result(60)
job = mltemporal.train(table, target="y")
job.result(60)
assert job.predict(table).result(60).rows == 40
assert job.model is not None
mltemporal.status()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(
        {"MLTEMPORAL_HOME": str(tmp_path / "new" / "home"), "MLTEMPORAL_TEMPORAL": "embedded"}
    )
    yield settings
    stack.down(settings)
    for order in settings.home.glob("jobs/*/order.json"):
        ProcessFolder(order.parent).kill()


def test_everything_in_the_home_is_private_under_an_open_umask(settings: Settings, tmp_path: Path) -> None:
    kernel = subprocess.run(
        [sys.executable, "-c", KERNEL, str(tmp_path)],
        env={**os.environ, **settings.environ()},
        umask=0,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert 0 == kernel.returncode, kernel.stderr
    open_to_others = [
        f"{stat.filemode(path.lstat().st_mode)} {path.relative_to(settings.home)}"
        for path in (settings.home, *settings.home.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    assert [] == open_to_others
    assert {"jobs", "keys.json", "mltemporal.db", "mltemporal.db-wal", "stack", "storage"} <= {
        path.name for path in settings.home.iterdir()
    }
    written = (tmp_path / "written").stat().st_mode & 0o777
    assert 0o666 == written, "what a job writes elsewhere has the modes that the kernel's files have"
