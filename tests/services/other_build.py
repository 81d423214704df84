"""Another build of the package: a real copy with changes of its own, as a second installation would be."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mltemporal
from mltemporal.settings import Settings

NEWER = "9.0.0"

HARMLESS = "\n# a change that replays\n"
FIRST_STEP = "    async def _validate(self, job_id: int) -> JobPlan:\n"
SLEEP_FIRST = FIRST_STEP + "        await workflow.sleep(0.01)\n"


@dataclass(frozen=True)
class OtherBuild:
    """A copy of the package, and how its command line is run."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *, version: str = NEWER, nondeterministic: bool = False) -> "OtherBuild":
        """Copy the package, give it a version and a workflow that fits old histories, or does not."""
        package = folder / "mltemporal"
        shutil.copytree(
            Path(mltemporal.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
        )
        (package / "version.py").write_text(f'__version__ = "{version}"\n')
        attempts = package / "workflows" / "attempts.py"
        text = attempts.read_text()
        assert FIRST_STEP in text
        attempts.write_text(text.replace(FIRST_STEP, SLEEP_FIRST) if nondeterministic else text + HARMLESS)
        return cls(folder)

    def environ(self, settings: Settings) -> dict[str, str]:
        """The environment in which Python loads this build."""
        return {**os.environ, **settings.environ(), "PYTHONPATH": str(self.folder)}

    def run(
        self, settings: Settings, arguments: Sequence[str], *, code: int = 0, timeout: float = 200
    ) -> str:
        """Run ``mltemporal`` of this build, see that it ends with ``code``, and return what it said."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mltemporal.cli", *arguments],
            env=self.environ(settings),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = done.stdout + done.stderr
        assert code == done.returncode, said
        return said

    def build_id(self) -> str:
        """The build's name, as this copy says it."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", "from mltemporal.deployments.build import *; print(build_id())"],
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()
