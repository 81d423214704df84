"""A fault run by hand: ``python tests/faults --seed 7 --jobs 500 --faults 1000``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
# This package has one name, here as in kernels and jobs; and all of a tree is tried, not what is installed.
sys.path[:1] = [str(HERE), str(HERE.parent)]

from faults.report import table, violations  # noqa: E402
from faults.run import Run  # noqa: E402
from faults.worlds import WORLDS  # noqa: E402


def main() -> int:
    """Run, print the table; 1 where something is broken."""
    parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__)
    parser.add_argument("--world", choices=WORLDS, default=WORLDS[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--only", action="append", default=[], help="a kind of fault; may be repeated")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    asked = parser.parse_args()

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    run = Run(
        asked.seed,
        jobs=asked.jobs,
        faults=asked.faults,
        say=say,
        only=tuple(asked.only),
        world=asked.world,
    )
    outcome = run.carry_out()
    print(f"\n{table(outcome)}")
    print(f"refused in kernels, and tried again: {dict(outcome.refusals)}")
    print(f"mended by the monitor: {outcome.mended}")
    if asked.write:
        asked.write.write_text(table(outcome))
    print(violations(outcome, run.again) or "nothing is broken")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
