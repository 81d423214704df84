"""A secret that a job is given shows up nowhere but where it must be to reach the job."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltemporal import stack
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings

CANARY = "c4n4ry-91f3"

KERNEL = """
import os, sys, warnings
import pandas as pd
import mltemporal

warnings.simplefilter("ignore")
canary = os.environ["SERVICE_TOKEN"]

def fit(data, steps, api_token):
    import os
    assert os.environ["SERVICE_TOKEN"] == os.environ["OTHER_PASSWORD"] == api_token
    mltemporal.report(step=1, total=steps, loss=1.0)
    return {"rows": len(data)}

def fails(data):
    raise ValueError("no luck")

table = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0] * 10, "y": [0, 1, 0, 1] * 10})
shown = []
for function, params in ((fit, {"steps": 1, "api_token": canary}), (fails, {})):
    job = mltemporal.train(table, function, params=params, env={"OTHER_PASSWORD": canary}, name="a job")
    shown += [repr(job), str(job)]
    job.wait(60)
    shown += [repr(job), job._repr_html_() if hasattr(job, "_repr_html_") else "", job._repr_mimebundle_()]
    shown += [job.logs(), job.history().to_csv(), job.metrics().to_csv(), job.history().to_html()]
    try:
        shown.append(job.result())
    except mltemporal.errors.JobFailed as error:
        shown.append(error)
    row = mltemporal.session.current().database.jobs.get(job.id)
    shown += [row, row.spec]
shown += [mltemporal.status(), mltemporal.jobs(), mltemporal.history().frame.to_csv(), mltemporal.history()]
from mltemporal.stack import doctor
shown += doctor.run(mltemporal.session.current().settings)
shown.append(mltemporal.session.current().settings)
print(*shown, sep="\\n")
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(
        {
            "MLTEMPORAL_HOME": str(tmp_path / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_NOTIFY_WEBHOOK": f"http://127.0.0.1:9/{CANARY}",
        }
    )
    yield settings
    stack.down(settings)
    for order in settings.home.glob("jobs/*/order.json"):
        ProcessFolder(order.parent).kill()


def test_a_secret_is_only_where_the_job_gets_it_from(settings: Settings) -> None:
    kernel = subprocess.run(
        [sys.executable, "-c", KERNEL],
        env={**os.environ, **settings.environ(), "SERVICE_TOKEN": CANARY},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert 0 == kernel.returncode, kernel.stderr
    assert [] == [line for line in (kernel.stdout + kernel.stderr).splitlines() if CANARY in line]
    keys = json.loads((settings.home / "keys.json").read_text())["keys"]
    secrets = [CANARY.encode(), *(key["secret"].encode() for key in keys)]
    stack.down(settings)
    holding = {
        str(path.relative_to(settings.home))
        for path in settings.home.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
    }
    where = {name.partition("/")[0] if name.startswith(("storage/", "jobs/")) else name for name in holding}
    # The record and the code hold parameters and `env=` (the documentation says so); of the job that ended
    # nothing else is left.
    assert where <= {"keys.json", "mltemporal.db", "mltemporal.db-wal", "storage"}, holding
