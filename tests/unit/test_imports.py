"""Modules may be imported for the first time by several threads at once."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mltemporal

ROOT = Path(mltemporal.__file__).parent
DOORS = ("cli", "handles", "steps", "testing.cluster")
"""Packages that are entered by their own name alone: nobody outside names one of their modules."""


def named(path: Path) -> Iterator[str]:
    """Every module that the file's imports name, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def while_loading(path: Path) -> Iterator[str]:
    """What is imported while the module itself is: no type checker's imports, none in a function."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            taken_from = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from (f"{taken_from}{alias.name}" for alias in node.names)


PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py") if path.parent != ROOT)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.relative_to(ROOT).as_posix())
def test_a_package_that_loads_its_modules_is_entered_by_its_name_alone(package: Path) -> None:
    """Python locks a module before its parent: a thread that enters by the package and one that enters by a
    module would wait for each other, and one of them gets a half-loaded module (CPython's issue 83065).
    """
    name = package.relative_to(ROOT.parent).as_posix().replace("/", ".")
    own = [found for found in while_loading(package / "__init__.py") if found.startswith(name + ".")]
    if name.removeprefix("mltemporal.") not in DOORS:
        assert [] == own
        return
    assert own
    modules = {f"{name}.{path.stem}" for path in package.iterdir() if path.stem != "__init__"}
    for path in ROOT.rglob("*.py"):
        if package not in path.parents:
            assert set() == modules.intersection(named(path)), path


def test_eight_threads_import_at_once_what_jobs_load() -> None:
    program = """
import sys, threading
sys.setswitchinterval(1e-5)
names = sys.argv[1:]
together = threading.Barrier(8)
errors = []

def load(part):
    together.wait()
    for name in names[part:] + names[:part]:
        try:
            __import__(name)
        except Exception as error:
            errors.append(f"{name}: {error!r}")

threads = [threading.Thread(target=load, args=(len(names) * i // 8,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("\\n".join(errors))
"""
    names = [
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for folder in ("code", "dataset", "preparation", "profiling", "runtime", "specs", "storage")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.stem not in ("__init__", "__main__", "shard_process")
    ]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)
    assert "" == done.stdout.strip()
