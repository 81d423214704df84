"""Two workers and ten kernels at once on one PostgreSQL database: no row is lost, none is there twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltemporal.database.engine import Database
from mltemporal.specs.running import JobStatus

POINTS = 20
KERNELS = 10
JOBS = 4


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_two_workers_and_ten_kernels_at_once(url: str, database: Database) -> None:
    program = Path(__file__).with_name("crowd.py")
    command = [sys.executable, str(program), url, "2", str(KERNELS), str(JOBS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    answers = json.loads(done.stdout)

    rows = database.jobs.find()
    own, shared = KERNELS * JOBS // 2, JOBS // 2
    assert own + shared == len(rows)
    assert {JobStatus.SUCCEEDED} == {row.status for row in rows}
    launched = [job_id for said, _ in answers for job_id, new in said.items() if new]
    assert sorted(str(row.id) for row in rows) == sorted(launched), "each job is new to one kernel"

    whole = list(range(POINTS))
    log = "".join(f"line {at}\n" for at in whole)
    for row in rows:
        assert whole == [point.step for _, point in database.progress.points(row.id)]
        assert log == "".join(text for _, _, text in database.progress.log(row.id))
        kinds = [event.kind for event in database.jobs.events(row.id)]
        assert ["submitted", "attempt", "finished"] == [
            kind for kind in kinds if kind not in ("stage", "attached")
        ]
    assert all(whole == steps for _, watched in answers for steps in watched.values()), (
        "a watcher missed a point"
    )
    with database.reading() as connection:
        assert 1 == connection.scalar(sa.text("SELECT count(*) FROM datasets"))
