"""The front end as it is shipped; its own tests run under node, where there is one."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

ASSETS = files("mltemporal.notebook") / "assets"
SOURCE = Path(__file__).parents[3] / "frontend"


def test_the_built_script_carries_uplots_licence():
    assert "Copyright (c) 2022 Leon Sorokin" in (ASSETS / "panel.js").read_text().partition("*/")[0]
    assert "Permission is hereby granted" in (ASSETS / "LICENSE.uPlot.txt").read_text()


def test_the_source_never_sets_html():
    for source in (SOURCE / "src").glob("*.js"):
        code = "\n".join(line.partition("//")[0] for line in source.read_text().splitlines())
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
            assert word not in code, source


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_front_ends_own_tests_pass():
    done = subprocess.run(
        ["node", "--test", "test/"], cwd=SOURCE, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout


@pytest.mark.skipif(not (SOURCE / "node_modules").exists(), reason="needs `npm ci` in frontend/")
def test_the_built_files_are_what_the_source_builds(tmp_path):
    before = {name: (ASSETS / name).read_text() for name in ("panel.js", "panel.css")}

    subprocess.run(["npm", "run", "build", "--", str(tmp_path)], cwd=SOURCE, capture_output=True, check=True)

    assert before == {name: (tmp_path / name).read_text() for name in before}
