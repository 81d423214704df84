"""A secret that a job is given shows up nowhere but where it must be to reach the job."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from google.protobuf.message import Message
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from temporalio.api.common.v1 import Payload

from mltemporal import stack
from mltemporal.encryption.keyring import Keyring
from mltemporal.encryption.plugin import keyring_of
from mltemporal.encryption.sealing import ENCODING, unseal
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings

CANARY = "c4n4ry-91f3"

NOTEBOOK = """
%load_ext mltemporal
import os, warnings
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


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore:Your element with mimetype")  # a live panel that has ended is empty
def test_a_secret_is_only_where_the_job_gets_it_from(settings: Settings) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    environment = {**os.environ, **settings.environ(), "SERVICE_TOKEN": CANARY}
    NotebookClient(notebook, timeout=110, kernel_name="python3").execute(env=environment)

    saved, page = nbformat.writes(notebook), HTMLExporter().from_notebook_node(notebook)[0]
    assert "a job (job 1): succeeded" in saved, "the panel's last picture"
    assert "mltemporal-job" in page
    for written in (saved, page):
        assert [] == [line for line in written.splitlines() if CANARY in line]

    history = asyncio.run(decrypted_histories(settings))
    assert any(b"check the dataset" in payload for payload in history), "they were opened"
    assert [] == [payload for payload in history if CANARY.encode() in payload]

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


async def decrypted_histories(settings: Settings) -> list[bytes]:
    """Every payload of both jobs' workflows and of those that they started, opened with the home's keys."""
    keys = keyring_of(settings)
    assert keys is not None
    client = await stack.connect(settings)
    jobs = [found.id async for found in client.list_workflows("WorkflowType = 'TrainingWorkflow'")]
    assert 2 == len(jobs)
    events: list[Any] = []
    for job in jobs:
        events += [e async for e in client.get_workflow_handle(job).fetch_history_events(wait_new_event=True)]
    children = [event.start_child_workflow_execution_initiated_event_attributes for event in events]
    for child in {child.workflow_id for child in children if child.workflow_id}:
        events += (await client.get_workflow_handle(child).fetch_history()).events
    return [opened(payload, keys) for event in events for payload in payloads_in(event)]


def opened(payload: Payload, keys: Keyring) -> bytes:
    sealed = payload.metadata.get("encoding") == ENCODING  # search attributes never are
    return unseal(payload, keys).data if sealed else payload.data


def payloads_in(message: Message) -> Iterator[Payload]:
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        values = [value] if isinstance(value, Message) else value
        if field.message_type.GetOptions().map_entry:
            values = [inner for inner in value.values() if isinstance(inner, Message)]
        for inner in values:
            yield from payloads_in(inner)
