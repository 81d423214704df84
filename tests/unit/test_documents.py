"""The documents say what is so: commands, links, versions, saved notebooks."""

import re
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("benchmarks/*.md"))
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_ci_runs_the_test_command_of_the_readme():
    _, test = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    create, install, run = test.split(" && ")
    assert (
        f"{create} && {install.replace('pip install', 'pip install -q')} && {run}"
        in (ROOT / ".ci/run").read_text()
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [] == [link for link in links if not (document.parent / link).exists()]


def test_conda_brings_only_what_pyproject_knows():
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    wanted = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    jupyterlab = next(name for name in PROJECT["optional-dependencies"]["test"] if "jupyterlab" in name)
    assert ["conda-forge", f"python{PROJECT['requires-python']}", "pip", jupyterlab, "pip:", "-e ."] == wanted


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_has_outputs_for_its_readers_and_no_widget_state(path):
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs
    assert [] == [output for output in outputs if output.output_type == "error"]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert "application/vnd.jupyter.widget-view+json" not in kinds
    assert {"text/html", "image/png"} <= kinds
