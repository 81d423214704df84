"""``mltemporal demo``, on a notebook that is shorter than the tutorial."""

import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from mltemporal.cli import demo as module
from mltemporal.cli import main
from mltemporal.settings import load_settings
from mltemporal.stack import down

TRAINS = (
    "import mltemporal\n"
    "from sklearn.datasets import load_iris\n"
    "job = mltemporal.train(load_iris(as_frame=True), name='short-demo')\n"
    "job.result(timeout=90)"
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLTEMPORAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLTEMPORAL_TEMPORAL", "embedded")
    yield
    down(load_settings())


def _notebook(folder: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = folder / module.TUTORIAL
    nbformat.write(notebook, path)
    return path


def test_it_shows_the_run_and_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = _notebook(tmp_path, "import os, sys\nprint(sys.executable)", TRAINS)
    monkeypatch.setattr(module, "find_tutorial", lambda: source)
    assert 0 == main(["demo"])
    out = capsys.readouterr().out
    assert "  cell 2 of 2: import mltemporal\n" in out
    assert "\nrun 1 'short-demo' succeeded in " in out
    assert "accuracy=" in out
    executed = tmp_path / "home" / "demo" / module.TUTORIAL
    assert str(executed) in out
    assert "http://127.0.0.1:" in out
    outputs = nbformat.read(executed, as_version=4).cells[0].outputs
    assert f"{sys.executable}\n" == outputs[0].text


def test_a_failing_cell_is_told_with_the_notebook_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = _notebook(tmp_path, "1 / 0")
    monkeypatch.setattr(module, "find_tutorial", lambda: source)
    assert 1 == main(["demo"])
    err = capsys.readouterr().err
    assert "mltemporal: a cell of the tutorial failed: ZeroDivisionError: division by zero\n" in err
    assert (tmp_path / "home" / "demo" / module.TUTORIAL).exists()
