"""What is wrong is told before anything starts: the value, what is allowed, the next step.

Nothing is left of such a call: no row, no object, no half-written file, no workflow.
"""

import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

import mltemporal
from mltemporal import session
from mltemporal.errors import (
    InvalidDataset,
    InvalidRequest,
    InvalidTrainer,
    MLTemporalError,
    StackError,
    VersionMismatch,
)
from mltemporal.settings import load_settings
from mltemporal.stack.home import StackFiles
from mltemporal.stack.record import read_state, write_state

TABLE = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]})
LOCK = threading.Lock()
CONNECTION = sqlite3.connect(":memory:")


def teardown_module() -> None:
    CONNECTION.close()


def fit(data: pd.DataFrame, depth: int = 3) -> None: ...


def fit_with_a_lock(data: pd.DataFrame) -> None:
    with LOCK:
        fit(data)


def fit_with_a_connection(data: pd.DataFrame) -> None:
    CONNECTION.execute("SELECT 1")


@dataclass
class Case:
    """A call that must be refused, and what must be told."""

    name: str
    error: type[MLTemporalError]
    what: str
    """Part of what happened; ``{}`` stands for the test's folder."""
    next_step: str
    """Part of what to do."""
    dataset: Any = None
    """A table, or a path in the test's folder; the usual table where not given."""
    arguments: dict[str, Any] | None = None


CASES = [
    Case(
        "a path that does not exist",
        InvalidDataset,
        "'{}/tabel.csv' does not exist",
        "'{}/table.csv'",
        "tabel.csv",
    ),
    Case(
        "a directory without data", InvalidDataset, "there are no data files at '{}/none'", "parquet", "none"
    ),
    Case("an empty table", InvalidDataset, "0 rows × 2 columns is empty: it has no rows", "rows", TABLE[:0]),
    Case("an empty file", InvalidDataset, "'{}/empty.csv' is empty", "a header and rows", "empty.csv"),
    Case("one column", InvalidDataset, "has one column only, 'x'", "features and a target", TABLE[["x"]]),
    Case(
        "a target that is no column",
        InvalidDataset,
        "target 'z' is not a column",
        "columns are 'x', 'y'",
        arguments={"target": "z"},
    ),
    Case(
        "a constant target",
        InvalidDataset,
        "target 'y' has one value only, 1",
        "rows in which it varies",
        TABLE.assign(y=1),
        {"target": "y"},
    ),
    Case(
        "a target without values",
        InvalidDataset,
        "target 'y' has no values, all are missing",
        "choose another target",
        TABLE.assign(y=None),
        {"target": "y"},
    ),
    Case(
        "an ambiguous target",
        InvalidDataset,
        "which column to predict is ambiguous; candidates are 'a', 'b'",
        'train(dataset, target="b")',
        pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 9, "b": [1.5, 2.5, 3.5, 4.5] * 9}),
    ),
    Case(
        "repeated column names",
        InvalidDataset,
        "column names are repeated: 'a'",
        "a name of its own",
        pd.DataFrame([[1, 2, 3]], columns=["a", "a", "b"]),
    ),
    Case(
        "a CSV that does not parse",
        InvalidDataset,
        "row 3 (the header is row 1)",
        "correct that row",
        "bad.csv",
    ),
    Case(
        "a truncated parquet file",
        InvalidDataset,
        "'{}/cut.parquet' is truncated",
        "write it again",
        "cut.parquet",
    ),
    Case(
        "a file that cannot be read",
        InvalidDataset,
        "'{}/gone.csv' cannot be read",
        "you may read it",
        "gone.csv",
    ),
    Case("an object that is no table", InvalidDataset, "set is no table", "pass a pandas", {1, 2}),
    Case(
        "a scheme that nobody knows", InvalidDataset, "not supported: 's4'", "s3:// URI", "s4://bucket/table"
    ),
    Case(
        "a function with a lock",
        InvalidTrainer,
        "global 'LOCK' used by fit_with_a_lock() is a lock",
        "create it inside the function",
        arguments={"trainer": fit_with_a_lock},
    ),
    Case(
        "a function with a connection",
        InvalidTrainer,
        "global 'CONNECTION' used by fit_with_a_connection() is a database connection",
        "connect inside the function",
        arguments={"trainer": fit_with_a_connection},
    ),
    Case(
        "a wrong parameter name",
        InvalidTrainer,
        "fit() has no parameter 'dept'",
        "depth",
        arguments={"trainer": fit, "params": {"dept": 3}},
    ),
    Case(
        "parameters that are no mapping",
        InvalidRequest,
        "params is a list, not a mapping",
        'give params={"name": value}',
        arguments={"params": [3]},
    ),
    Case(
        "an unknown trainer",
        InvalidTrainer,
        "a str cannot train",
        "Script('train.py')",
        arguments={"trainer": "xgboost"},
    ),
    Case(
        "an unknown backend",
        InvalidRequest,
        "there is no backend 'kubernets'",
        "available: local",
        arguments={"backend": "kubernets"},
    ),
    Case(
        "no duration",
        InvalidRequest,
        "timeout='soon' is no duration",
        'give e.g. "90s"',
        arguments={"timeout": "soon"},
    ),
    Case(
        "more cores than there are",
        InvalidRequest,
        "resources ask for 9999 cores",
        "at most",
        arguments={"resources": {"cpu": 9999}},
    ),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files of every kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("no data")
    (tmp_path / "table.csv").write_text("x,y\n1,0\n2,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n1,2,3\n4,5\n")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    TABLE.to_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def refused(world: Any, call: Callable[[], object]) -> MLTemporalError:
    """Return the error of a call, which must leave nothing behind."""
    caught: list[MLTemporalError] = []

    def attempt() -> None:
        with pytest.raises(MLTemporalError) as info:
            call()
        caught.append(info.value)

    assert {} == world.left_by(attempt)
    return caught[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_with_the_whole_story(world: Any, folder: Path, case: Case) -> None:
    dataset = TABLE if case.dataset is None else case.dataset
    error = refused(world, lambda: mltemporal.train(dataset, **(case.arguments or {})))
    assert case.error is type(error)
    assert case.what.replace("{}", str(folder)) in error.what
    assert case.next_step.replace("{}", str(folder)) in error.next_step


def test_an_open_file_in_a_function_is_named(world: Any, folder: Path) -> None:
    with (folder / "table.csv").open() as file:

        def fit_with_a_file(data: pd.DataFrame) -> str:
            return file.read()

        error = refused(world, lambda: mltemporal.train(TABLE, fit_with_a_file))
    assert "'file'" in error.what
    assert "is an open file" in error.what
    assert "open it inside the function" == error.next_step


def test_a_package_that_was_changed_under_the_kernel_is_named(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sklearn, "__version__", "0.1")
    error = refused(world, lambda: mltemporal.train(TABLE, LogisticRegression(), target="y"))
    assert VersionMismatch is type(error)
    assert "package scikit-learn was changed after this kernel started: 0.1 is loaded" in error.what
    assert "restart the kernel" == error.next_step


FULL = """
import resource, sys, pandas as pd, mltemporal
rows, limit = map(int, sys.argv[1:])
table = pd.DataFrame({"x": [i * 0.37 for i in range(rows)], "y": [i % 2 for i in range(rows)]})
mltemporal.status()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    mltemporal.train(table)
except mltemporal.ServiceUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("rows", "limit", "words"),
    [(50_000, 16_384, "could not write an object: [Errno 27]"), (10, 0, "could not ")],
    ids=["the table does not fit", "nothing fits"],
)
def test_a_full_disk_is_told_and_nothing_is_left(world: Any, rows: int, limit: int, words: str) -> None:
    """A kernel that may not write above a size stands for a disk without room."""
    told: list[str] = []

    def launch() -> None:
        command = [sys.executable, "-c", FULL, str(rows), str(limit)]
        kernel = subprocess.run(command, env=world.environ, capture_output=True, text=True, check=False)
        assert ("", 0) == (kernel.stderr, kernel.returncode)
        told.append(kernel.stdout)

    left = world.left_by(launch)
    assert {} == left
    assert f"storage {world.settings.storage_url!r} {words}" in told[0]
    assert "Next step: check free space" in told[0]


def test_a_home_that_cannot_be_used_is_named(world: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    session.replace(load_settings({"MLTEMPORAL_HOME": str(tmp_path / "file" / "home")}))
    with pytest.raises(InvalidRequest) as caught:
        mltemporal.train(TABLE)
    assert str(tmp_path / "file" / "home") in caught.value.what
    assert "set MLTEMPORAL_HOME to a directory of yours" in caught.value.next_step


def test_a_port_that_is_taken_is_named(world: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environ = {
            "MLTEMPORAL_HOME": str(tmp_path / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_WEB_PORT": str(port),
        }
        session.replace(load_settings(environ))
        with pytest.raises(StackError) as caught:
            mltemporal.train(TABLE)
    assert f"port {port} is taken by" in caught.value.what
    assert "MLTEMPORAL_WEB_PORT" in caught.value.next_step
    assert not (tmp_path / "home" / "storage").exists()


def test_a_stack_of_a_newer_version_is_named(world: Any) -> None:
    path = StackFiles(world.settings.home).state
    running = read_state(path)
    assert running is not None
    write_state(path, replace(running, version="99.0.1", build="99.0.1-00000000"))
    try:
        with pytest.raises(VersionMismatch) as caught:
            mltemporal.train(TABLE)
    finally:
        write_state(path, running)
    assert "mltemporal 99.0.1" in caught.value.what
    assert "restart the kernel" in caught.value.next_step
