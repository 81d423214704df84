"""Versions that must agree before code which one process pickled is unpickled by another."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from mltemporal.errors import VersionMismatch

_PARTS = {"python": 2, "cloudpickle": 1, "numpy": 1, "pandas": 1, "scikit-learn": 2, "mltemporal": None}
"""How many leading parts of each version must be equal; None: all of it."""

_MODULES = {"cloudpickle": "cloudpickle", "numpy": "numpy", "pandas": "pandas", "scikit-learn": "sklearn"}


def python_version() -> str:
    """Return this interpreter's version, as in ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def versions_for(payload: bytes) -> dict[str, str]:
    """Return the versions, as loaded here, of Python and of the packages that ``payload`` speaks of."""
    versions = {"python": python_version()}
    for package, module in {**_MODULES, "mltemporal": "mltemporal"}.items():
        loaded = sys.modules.get(module)
        if loaded is not None and (package == "cloudpickle" or module.encode() in payload):
            versions[package] = str(loaded.__version__)
    return versions


def versions_of_model(*, pickled: bool) -> dict[str, str]:
    """Return the versions, as loaded here, that a fitted model depends on where it is loaded again."""
    versions = versions_for(b"sklearn numpy" if pickled else b"sklearn")
    needed = ("python", "cloudpickle", "numpy", "scikit-learn") if pickled else ("scikit-learn",)
    return {package: versions[package] for package in needed if package in versions}


def check_versions(versions: Mapping[str, str], what: str = "the code was launched") -> None:
    """Compare what launched, or made a model (``what``), with what would load it here.

    Python and scikit-learn must agree in major and minor version, numpy, pandas and cloudpickle
    in the major one, mltemporal altogether.

    Raises:
        VersionMismatch: names the package and both versions.
    """
    for package, theirs in versions.items():
        ours = _installed(package)
        parts = _PARTS.get(package, 1)
        if ours is None or _leading(ours, parts) != _leading(theirs, parts):
            raise VersionMismatch(
                f"{what} with {package} {theirs}, and here is "
                f"{'none' if ours is None else f'{package} {ours}'}",
                f"run the job where {package} {_leading(theirs, parts)} is installed, "
                "or make it again in an environment like this one",
            )


def check_environment(versions: Mapping[str, str]) -> None:
    """Compare what this process loaded (``versions``) with what is on disk, where the job would load it.

    Raises:
        VersionMismatch: a package was installed anew after this kernel started.
    """
    for package, loaded in versions.items():
        on_disk = _installed(package)
        if on_disk != loaded:
            raise VersionMismatch(
                f"package {package} was changed after this kernel started: "
                f"{loaded} is loaded, {on_disk or 'none'} is installed",
                "restart the kernel",
            )


def _installed(package: str) -> str | None:
    """Return the version on disk; an editable mltemporal's metadata may be older than its code."""
    if package == "python":
        return python_version()
    if package == "mltemporal":
        text = (Path(__file__).parents[1] / "version.py").read_text()
        found = re.search(r'__version__\s*=\s*"([^"]+)"', text)
        return found.group(1) if found else None
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _leading(version: str, parts: int | None) -> str:
    return version if parts is None else ".".join(version.split(".")[:parts])
