"""Every check and test, in the order in which they are quickest to fail: what CI runs.

    python tests/run.py

Stops at the first that fails, with its exit code.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))

SIDE_BY_SIDE = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
"""Four processes share the test files, in the order of tests/conftest.py: much of the time is waiting."""

CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("lint-imports",),
    ("pytest", *SIDE_BY_SIDE, "--durations=20", "--nbmake", "tests", "notebooks"),
)


def main() -> int:
    for name, *arguments in CHECKS:
        print(f"── {name} {' '.join(arguments)}", flush=True)
        code = subprocess.run([SCRIPTS / name, *arguments], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
