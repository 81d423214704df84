"""The kernels of a run: they launch its jobs, and may be killed at any moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mltemporal.stack.process import ProcessId

HERE = Path(__file__).parent
MOST_DEATHS = 20


@dataclass
class Kernels:
    """Python processes, each started again until its share is done."""

    folder: Path
    number: int
    environ: Mapping[str, str]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    """Of kernels that died though nobody had killed them."""
    shot: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)

    def tend(self) -> bool:
        """Start what does not run; returns whether all have done their share."""
        for number in range(self.number):
            child = self.running.get(number)
            if child is not None and child.poll() is None:
                continue
            if child is not None and child.returncode == 0:
                self.done.add(number)
            elif child is not None and child.pid not in self.shot:
                self.deaths.append(f"kernel {number} ended by itself with {child.returncode}")
                if len(self.deaths) > MOST_DEATHS:
                    raise RuntimeError(f"kernels end by themselves again and again: see {self.folder}")
            if number in self.done:
                continue
            with (self.folder / f"kernel-{number}.log").open("ab") as log:
                self.running[number] = subprocess.Popen(
                    [
                        sys.executable,
                        "-X",
                        "faulthandler",
                        "-m",
                        "faults.driver",
                        str(self.folder),
                        str(number),
                        str(self.number),
                    ],
                    cwd=HERE.parent,
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        return len(self.done) == self.number

    def alive(self) -> list[ProcessId]:
        """Those that run."""
        found = [ProcessId.of(child.pid) for child in self.running.values() if child.poll() is None]
        return [process for process in found if process is not None]

    def stop(self) -> None:
        """End them all."""
        for child in self.running.values():
            if child.poll() is None:
                child.kill()
            child.wait()
