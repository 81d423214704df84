"""Which workflow code this is: a name that follows from its text, so that none passes as another."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from mltemporal.version import __version__

WORKFLOW_CODE = ("workflows/*.py", "specs/*.py", "errors.py", "words.py")
"""Everything that a replay depends on: the workflows, what they hand on, what they raise and say.

Activities are not part of it: a replay never runs them.
"""

_PACKAGE = Path(__file__).parent.parent


@functools.cache
def build_id() -> str:
    """Return ``<version>-<8 hex digits>`` of the code that this process runs.

    Read once: an upgrade under a running process does not change what that process is.
    """
    return f"{__version__}-{fingerprint(_PACKAGE)}"


def build_on_disk() -> str:
    """Return the build that a new process of this installation would be."""
    found = re.search(r'__version__ = "(.+)"', (_PACKAGE / "version.py").read_text(encoding="utf-8"))
    return f"{found[1] if found else __version__}-{fingerprint(_PACKAGE)}"


def code_folder() -> str:
    """Return the folder that this installation's package lies in."""
    return str(_PACKAGE)


def version_of(build: str) -> str:
    """Return the version that a build's name begins with."""
    return build.rpartition("-")[0]


def fingerprint(package: Path) -> str:
    """Return eight hexadecimal digits of the text of the workflow code in a package's folder."""
    text = hashlib.sha256()
    for pattern in WORKFLOW_CODE:
        for path in sorted(package.glob(pattern)):
            content = path.read_bytes()
            text.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return text.hexdigest()[:8]
