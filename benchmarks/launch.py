"""What does `train` cost, from the call to the result, beside what it could cost at least?

``python benchmarks/launch.py [--repeat 9] [--skip-peers] [--json FILE] [--cache DIRECTORY]``

Everything is measured in this one run, ours and theirs in turns where both are short; every figure
is a median. It brings up services of its own in a temporary home, and leaves nothing running.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from own_stack import own_stack
from peers import PEERS, Peer, measure, temporal_worker, version
from table import Answer, Line, machine, shown, write_json
from temporalio.client import Client
from temporalio.service import GrpcCompression

import mltemporal
from mltemporal import background
from mltemporal.session import Session

TABLE = pd.DataFrame({"size": range(200), "price": [0.5 * i for i in range(200)]})


def give_a_number(_table: pd.DataFrame) -> float:
    return 1.0


def say_the_time(_table: pd.DataFrame) -> float:
    return time.time()


# (a) From the call to the handle


def time_to_the_handle(repeat: int) -> Answer:
    table, file, insert_and_start = [], [], []
    with own_stack() as here, parquet_file() as path:
        floor = Floor(here)
        launch(path)  # the first also imports what the kernel needs
        for _ in range(repeat):
            insert_and_start.append(floor.seconds())
            table.append(launch(TABLE))
            file.append(launch(path))
    beside = "one database insert + one start_workflow"
    return Answer(
        question="(a) From the call of train() to the handle",
        lines=[
            Line(what=what, seconds=ours, beside=beside, their_seconds=insert_and_start, target=1.5)
            for what, ours in (("a small table, a function", table), ("a parquet file, a function", file))
        ],
    )


@contextmanager
def parquet_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        TABLE.to_parquet(path)
        yield path


def launch(dataset: object) -> float:
    """Return how long `train` takes; then wait, so that the next one finds a quiet machine."""
    job, seconds = timed(lambda: mltemporal.train(dataset, give_a_number))
    job.result()
    settle()
    return seconds


class Floor:
    """The least that a launch could do: record the job, start its workflow."""

    def __init__(self, here: Session) -> None:
        job = mltemporal.train(TABLE, give_a_number)
        job.result()
        self._here, self._spec = here, here.database.jobs.get(job.id).spec

    def seconds(self) -> float:
        jobs, key = self._here.database.jobs, f"floor-{uuid.uuid4().hex[:12]}"
        spec = dataclasses.replace(self._spec, key=key)
        (row, _), inserted = timed(lambda: jobs.add(spec, fingerprint=key, dataset_id=1))
        _, started = timed(lambda: background.run(self._start(row.id, key)))
        background.run(self._forget(key))
        jobs.withdraw(row.id)
        return inserted + started

    async def _start(self, job_id: int, key: str) -> None:
        client = await self._here.client()
        await client.start_workflow("TrainingWorkflow", job_id, id=key, task_queue="nobody-listens")

    async def _forget(self, key: str) -> None:
        client = await self._here.client()
        await client.get_workflow_handle(key).terminate()


# (b) From the call to the first line of the user's function

BARE_PROCESS = "import time, pandas, sklearn.ensemble; print(time.time())"


def time_to_the_first_line(repeat: int) -> Answer:
    cold = first_line_beside_bare("the first job (cold)", *cold_first_lines(max(3, repeat // 3)))
    with own_stack():
        warm = first_line_beside_bare("later jobs (warm)", *warm_first_lines(repeat))
    return Answer(
        question="(b) From the call to the first line of the user's function",
        lines=[cold, warm],
        notes=["cold: the first job of a new worker, which has no warm interpreter yet"],
    )


def cold_first_lines(repeat: int) -> tuple[list[float], list[float]]:
    """Return ours, each the first job of services that have just come up, and those of bare processes."""
    ours, bare = [], []
    for number in range(repeat + 1):
        with own_stack():
            settle()
            seconds = first_line()
        if number:  # the very first call of all also imports what the kernel needs
            ours.append(seconds)
            bare.append(bare_process())
    return ours, bare


def warm_first_lines(repeat: int) -> tuple[list[float], list[float]]:
    """Return ours, once a warm interpreter stands ready, and those of bare processes, in turns."""
    warm_up()
    ours, bare = [], []
    for _ in range(repeat):
        bare.append(bare_process())
        ours.append(first_line())
        settle()
    return ours, bare


def warm_up() -> None:
    """Have the worker start an interpreter, and give it the time that its imports take, and more."""
    first_line()
    time.sleep(2 * bare_process())


def first_line() -> float:
    called = time.time()
    return mltemporal.train(TABLE, say_the_time).result().value - called


def bare_process() -> float:
    called = time.time()
    return float(output_of([sys.executable, "-c", BARE_PROCESS])) - called


def first_line_beside_bare(what: str, ours: list[float], bare: list[float]) -> Line:
    beside = "a bare subprocess that imports pandas and sklearn.ensemble"
    return Line(what=what, seconds=ours, beside=beside, their_seconds=bare, target=1.0)


# (c) A whole trivial job


def whole_trivial_job(repeat: int, cache: Path | None) -> Answer:
    with own_stack() as here:
        ours, raw = trivial_jobs_and_raw_workflows(here, repeat)
    lines = [our_line(ours, "raw Temporal, four empty activities", raw)]
    notes = [f"mltemporal {mltemporal.__version__}: keeps a record; when the caller dies, the job goes on"]
    if cache is None:
        return Answer(question=WHOLE_JOB, lines=lines, notes=[*notes, "other peers: skipped"])
    theirs = {peer: measure(peer, cache, repeat + 1) for peer in PEERS}
    best = min((peer for peer in PEERS if peer.keeps_record), key=lambda p: statistics.median(theirs[p][1:]))
    for peer, (first, *later) in theirs.items():
        lines.append(our_line(ours, peer.name, later, target=1 / 3 if peer is best else None))
        notes.append(f"{peer.name}, {version(peer, cache)}: {about(peer)}; its first run took {shown(first)}")
    return Answer(question=WHOLE_JOB, lines=lines, notes=notes)


WHOLE_JOB = "(c) A whole trivial job, from the call to the result (the first is left out)"


def trivial_jobs_and_raw_workflows(here: Session, repeat: int) -> tuple[list[float], list[float]]:
    """Return the seconds of ours and of a workflow that does nothing, on one server, in turns."""
    ours, raw, queue = [], [], "raw-workflows"

    async def execute() -> None:
        config = (await here.client()).service_client.config
        client = await Client.connect(config.target_host, grpc_compression=GrpcCompression.NONE)
        await client.execute_workflow("FourEmptyActivities", id=uuid.uuid4().hex, task_queue=queue)

    with temporal_worker(mltemporal.status().temporal_address, queue):
        background.run(execute())
        warm_up()
        for _ in range(repeat):
            raw.append(timed(lambda: background.run(execute()))[1])
            settle()
            ours.append(timed(lambda: mltemporal.train(TABLE, give_a_number).result())[1])
            settle()
    return ours, raw


def our_line(ours: list[float], beside: str, theirs: list[float], target: float | None = None) -> Line:
    what = "train(table, function).result()"
    return Line(what=what, seconds=ours, beside=beside, their_seconds=theirs, target=target)


def about(peer: Peer) -> str:
    record = "keeps a record" if peer.keeps_record else "keeps files, no record of runs"
    return f"{record}; when the caller dies, {peer.when_the_caller_dies}"


# (d) The import


def time_of_import(repeat: int) -> Answer:
    statements = {
        "import mltemporal": [],
        "from mltemporal import train": [],
        "import pandas": [],
    }
    for _ in range(repeat):
        for statement, seconds in statements.items():
            seconds.append(import_seconds(statement))
    pandas_seconds = statements.pop("import pandas")
    targets = {"import mltemporal": 0.1}
    return Answer(
        question="(d) The import, in a new process",
        lines=[
            Line(
                what=statement,
                seconds=seconds,
                beside="import pandas",
                their_seconds=pandas_seconds,
                target=targets.get(statement),
            )
            for statement, seconds in statements.items()
        ],
    )


def import_seconds(statement: str) -> float:
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    return float(output_of([sys.executable, "-c", code]))


# (e) report()


def cost_of_report() -> Answer:
    with own_stack():
        seconds = mltemporal.train(TABLE, report_often).result().value
    beside = "print(…, flush=True) of the same facts"
    whats = {"written": "report() that writes a line", "held_back": "report() that is held back"}
    return Answer(
        question="(e) One report() inside a job",
        lines=[
            Line(what=what, seconds=seconds[name], beside=beside, their_seconds=seconds["printed"])
            for name, what in whats.items()
        ],
        notes=["above 100 a second, after the first 2,000, only the newest report is written"],
    )


def report_often(_table: pd.DataFrame) -> dict[str, list[float]]:
    """Return seconds a call, in blocks: with a line each, held back, and of a print."""

    def block(call: Callable[[int], object], calls: int) -> float:
        began = time.perf_counter()
        for i in range(calls):
            call(i)
        return (time.perf_counter() - began) / calls

    def report(i: int) -> None:
        mltemporal.report(step=i, total=1000, loss=0.1, accuracy=0.9)

    def write(i: int) -> None:
        print(f"step {i} of 1000 loss=0.1 accuracy=0.9", flush=True)

    written = [block(report, 200) for _ in range(9)]
    block(report, 1000)  # the first 2,000 are over
    held_back = [block(report, 2000) for _ in range(9)]
    printed = [block(write, 200) for _ in range(9)]
    return {"written": written, "held_back": held_back, "printed": printed}


# Below: how it is measured


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """Return what the call returns, and how many seconds it took."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def settle() -> None:
    """Let what the last job set in motion come to rest."""
    time.sleep(0.3)


def output_of(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9, help="repetitions of each (default: 9)")
    parser.add_argument("--skip-peers", action="store_true", help="leave Metaflow, Prefect and submitit out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every repetition there too")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIRECTORY",
        default=Path.home() / ".cache" / "mltemporal-benchmarks",
        help="where the peers' environments are kept (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    chosen = options()
    repeat, cache = chosen.repeat, None if chosen.skip_peers else chosen.cache.absolute()
    print(machine())
    questions = (
        lambda: time_to_the_handle(repeat),
        lambda: time_to_the_first_line(repeat),
        lambda: whole_trivial_job(repeat, cache),
        lambda: time_of_import(repeat),
        cost_of_report,
    )
    answers = []
    for ask in questions:
        answers.append(ask())
        answers[-1].show()
    if chosen.json:
        write_json(chosen.json, answers)


if __name__ == "__main__":
    main()
