"""A build's name follows from the workflow code, and from nothing else."""

import ast
import shutil
from pathlib import Path

import pytest

import mltemporal
from mltemporal.deployments.build import build_id, build_on_disk, fingerprint, version_of
from mltemporal.version import __version__

PACKAGE = Path(mltemporal.__file__).parent
WORKFLOW_CODE = sorted(
    str(path.relative_to(PACKAGE))
    for path in [
        *PACKAGE.glob("workflows/*.py"),
        *PACKAGE.glob("specs/*.py"),
        PACKAGE / "errors.py",
        PACKAGE / "words.py",
    ]
)
OTHER_CODE = (
    "worker.py",
    "workflows/activities/kubernetes.py",
    "launchers/local.py",
    "version.py",
    "deployments/build.py",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "testing", "notebook", "plots")
    return Path(shutil.copytree(PACKAGE, tmp_path / "mltemporal", ignore=ignored))


def test_it_is_the_version_and_eight_digits() -> None:
    assert f"{__version__}-{fingerprint(PACKAGE)}" == build_id() == build_on_disk()
    assert 8 == len(fingerprint(PACKAGE))
    assert __version__ == version_of(build_id())


def test_the_same_code_in_another_place_is_the_same_build(copy: Path) -> None:
    assert fingerprint(PACKAGE) == fingerprint(copy)


@pytest.mark.parametrize("name", WORKFLOW_CODE)
def test_a_change_of_workflow_code_is_another_build(copy: Path, name: str) -> None:
    with (copy / name).open("a") as file:
        file.write("\n# changed\n")
    assert fingerprint(PACKAGE) != fingerprint(copy)


def test_a_new_or_renamed_file_of_workflow_code_is_another_build(copy: Path) -> None:
    before = fingerprint(copy)
    (copy / "specs" / "more.py").write_text("")
    added = fingerprint(copy)
    (copy / "specs" / "more.py").rename(copy / "specs" / "others.py")
    assert 3 == len({before, added, fingerprint(copy)})


@pytest.mark.parametrize("name", OTHER_CODE)
def test_a_change_elsewhere_is_the_same_build(copy: Path, name: str) -> None:
    with (copy / name).open("a") as file:
        file.write("\n# changed\n")
    assert fingerprint(PACKAGE) == fingerprint(copy)


def test_workflows_import_nothing_of_ours_that_a_build_does_not_cover() -> None:
    """Otherwise a change there could stop a replay, and the build would not tell."""
    covered = {name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in WORKFLOW_CODE}
    for name in WORKFLOW_CODE:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            ours = [each.removeprefix("mltemporal.") for each in modules if each.startswith("mltemporal.")]
            assert set(ours) <= covered, name
