"""What ``train(…, packages=[…])`` asks for, installed where the job can write."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence

from mltemporal.errors import InvalidTrainer, ServiceUnavailable
from mltemporal.runtime import reporting

_WRONG = (
    "No matching distribution",
    "Invalid requirement",
    "ResolutionImpossible",
    "conflicting dependencies",
)
_LAST_LINES = 5


def install(packages: Sequence[str]) -> None:
    """Install requirements with pip, beside what the image has, and make them importable here.

    What the image has and what fits is not installed again. The index is pip's own affair:
    ``PIP_INDEX_URL`` and the like come with ``env=`` or ``secrets=``.

    Raises:
        InvalidTrainer: there is no such package, or it does not fit the others; never retried.
        ServiceUnavailable: pip failed otherwise, as it does without a network; retried.
    """
    reporting.stage(f"installing {', '.join(packages)}")
    folder = tempfile.mkdtemp(prefix="packages-", dir=os.environ.get("MLTEMPORAL_SCRATCH"))
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--prefix", folder]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *packages],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)  # noqa: T201  (the log)
    if done.returncode:
        said = " ".join(done.stdout.strip().splitlines()[-_LAST_LINES:])
        kind = InvalidTrainer if any(words in said for words in _WRONG) else ServiceUnavailable
        raise kind(
            f"packages={list(packages)} could not be installed: {said}",
            "correct packages=, or build them into the image",
        )
    scheme = {"base": folder, "platbase": folder}
    found = sysconfig.get_path("purelib", "posix_prefix", scheme)
    sys.path.insert(0, found)
    paths = [found, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # for the processes that the training starts
