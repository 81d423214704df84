"""``python -m fuzz [--seconds 600] [--seed 1] [--only NAME]`` (from ``tests/``): input that nobody meant.

Prints for each reader how many inputs it was given, how many it refused in words, and each crash: an
exception of any other kind. Ends with the number of crashes; the exit code says whether there were any.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from fuzz.mutating import mutated
from fuzz.readers import READERS, Reader

_MOST_SHOWN = 5


def run(reader: Reader, seconds: float, seed: int) -> tuple[int, int, dict[str, bytes]]:
    """Return the inputs tried, those refused, and of each kind of crash the first input."""
    chance, sound = random.Random(f"{seed} {reader.name}"), reader.sound()
    tried = refused = 0
    crashes: dict[str, bytes] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with tempfile.TemporaryDirectory(prefix="mltemporal-fuzz-") as folder:
            for _ in range(50):
                data = mutated(sound, chance)
                tried += 1
                try:
                    reader.read(data, Path(folder))
                except reader.refusals:
                    refused += 1
                except Exception as error:  # a kind that nobody expected is what is looked for
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    crashes.setdefault(
                        f"{type(error).__name__} at {where.filename}:{where.lineno}: {error}"[:200], data
                    )
    return tried, refused, crashes


def main() -> int:
    """Run every reader for its share of the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [reader for reader in READERS if options.only in reader.name]
    found = 0
    print(f"{'reader':<22}{'inputs':>10}{'refused':>10}{'crashes':>9}")
    for reader in chosen:
        tried, refused, crashes = run(reader, options.seconds / len(chosen), options.seed)
        found += len(crashes)
        print(f"{reader.name:<22}{tried:>10,}{refused:>10,}{len(crashes):>9}", flush=True)
        for words, data in list(crashes.items())[:_MOST_SHOWN]:
            print(f"    {words}\n      {data[:120]!r}", flush=True)
    print(f"crashes: {found or 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
