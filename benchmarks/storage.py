"""What does it cost to move a large object through `Storage`, beside boto3 and bare s3fs?

``python benchmarks/storage.py [--repeat 3] [--mib 1024] [--json FILE] [--cache DIRECTORY]``

A real S3 server (SeaweedFS) is started for it. Every move is a process of its own, ours and theirs in
turns; ours also computes the SHA-256 before a put and verifies it after a get.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from peers import SCRIPTS, Peer, installed, version
from table import Answer, Line, machine, write_json

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from services.s3 import S3Server

BOTO3 = Peer(
    name="boto3",
    requirements=("boto3>=1.40",),
    script=("move_objects.py",),
    keeps_record=False,
    when_the_caller_dies="",
)


@dataclass(frozen=True)
class Moved:
    """One object, one way."""

    seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="the size of the object")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/mltemporal-benchmarks").expanduser())
    arguments = parser.parse_args()
    print(machine())
    answer = moves(arguments.repeat, arguments.mib, arguments.cache)
    answer.show()
    if arguments.json:
        write_json(arguments.json, [answer])


def moves(repeat: int, mib: int, cache: Path) -> Answer:
    pythons = {
        "storage": Path(sys.executable),
        "boto3": installed(BOTO3, cache),
        "s3fs": Path(sys.executable),
    }
    found: dict[tuple[str, str], list[Moved]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mltemporal-benchmark-") as temporary:
        folder = Path(temporary)
        server = S3Server(folder / "server").start()
        try:
            for i in range(repeat):
                path = folder / "object"
                write_random(path, mib)
                for how, python in pythons.items():
                    for what in ("put", "get"):
                        key = f"{how}-{i}"
                        found[how, what].append(move(python, server, [how, what, server.bucket, key, path]))
        finally:
            server.kill()
    lines = [
        Line(
            what=f"{what} of {mib} MiB through Storage",
            seconds=[moved.seconds for moved in found["storage", what]],
            beside=f"{other}, defaults",
            their_seconds=[moved.seconds for moved in found[other, what]],
        )
        for what in ("put", "get")
        for other in ("boto3", "s3fs")
    ]
    peaks = [
        f"{how} {what}: {statistics.median(mib / moved.seconds for moved in moves):.0f} MiB/s, "
        f"peak memory {max(moved.peak_bytes for moved in moves) >> 20} MiB"
        for (how, what), moves in found.items()
    ]
    return Answer(
        question="An object to S3 and back",
        lines=lines,
        notes=[*peaks, f"boto3 {version(BOTO3, cache)}"],
    )


def write_random(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))


def move(python: Path, server: S3Server, arguments: list[str | Path]) -> Moved:
    environ = {**os.environ, **server.environ(), "TMPDIR": str(server.folder.parent)}  # one file system
    done = subprocess.run(
        [python, SCRIPTS / "move_objects.py", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed:\n{done.stderr[-3000:]}")
    return Moved(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
