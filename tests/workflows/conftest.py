"""A real Temporal server, and a world of its own for each test: home, database, storage, worker."""

import base64
import json
import os
import re
import shutil
import sysconfig
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from mltemporal.code.capturing import capture
from mltemporal.code.script import Script
from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.dataset.checking import inspect
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.launchers.local import KernelContext, LocalLauncher
from mltemporal.settings import Settings, load_settings
from mltemporal.specs.request import JobSpec
from mltemporal.specs.running import Command
from mltemporal.storage.content import Storage
from mltemporal.version import __version__
from mltemporal.worker import running_worker

HISTORIES = Path(__file__).parent.parent / "histories"


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    binary = shutil.which("temporal", path=sysconfig.get_path("scripts")) or shutil.which("temporal")
    assert binary is not None
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary,
        dev_server_extra_args=[
            "--dynamic-config-value",
            "history.transferProcessorMaxPollRPS=1000",
            "--dynamic-config-value",
            'history.timerProcessorMaxTimeShift="50ms"',
        ],
    )
    async with environment:
        yield environment


class Refused(Exception):
    """A command was refused; the text says why."""


@dataclass
class World:
    """Everything that a job needs, and the words to start one."""

    client: Client
    settings: Settings
    database: Database
    storage: Storage
    folder: Path

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        async with running_worker(self.client, self.database, self.settings) as worker:
            yield worker

    def record(self, text: str, **fields: Any) -> JobRow:
        """Record a training that runs the script's text, as a kernel does before it starts the workflow."""
        path = self.folder / f"script_{uuid.uuid4().hex[:8]}.py"
        path.write_text(text)
        table = pd.DataFrame({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0]})
        ref = inspect(table).store(self.storage)
        spec = JobSpec(
            key=f"training-{uuid.uuid4().hex[:12]}",
            name="a script",
            dataset=ref,
            trainer=capture(Script(path, **fields.pop("script", {})), fields.pop("params", {})).store(
                self.storage
            ),
            **{"grace_s": 10.0, **fields},
        )
        self.storage.put_note(spec.key, "spec", spec)
        launcher = LocalLauncher(self.settings.home, self.settings.storage_url, 2)
        launcher.prepare(spec.key, KernelContext.here())
        row, _ = self.database.jobs.add(
            spec, fingerprint=uuid.uuid4().hex, dataset_id=self.database.datasets.add(ref)
        )
        return row

    async def submit(self, text: str, **fields: Any) -> tuple[JobRow, WorkflowHandle[Any, Any]]:
        """Start a training that runs the script's text; ``carried`` is what an earlier run hands on."""
        carried = fields.pop("carried", None)
        row = self.record(text, **fields)
        handle = await self.client.start_workflow(
            "TrainingWorkflow",
            args=[row.id] if carried is None else [row.id, carried],
            id=row.workflow_id,
            task_queue=f"mltemporal-{self.database.id}",
        )
        return row, handle

    async def tell(self, handle: WorkflowHandle[Any, Any], row: JobRow, verb: str, **details: Any) -> str:
        """Give a command; return the answer, or raise what the workflow refuses it with."""
        given = {"by": "me@here", "origin": "test, process 7", "id": uuid.uuid4().hex, **details}
        command = Command(job_id=given.pop("job_id", row.id), verb=verb, **given)
        try:
            return await handle.execute_update("command", command, result_type=str)
        except WorkflowUpdateFailedError as error:
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            raise Refused(getattr(cause, "message", str(cause))) from error

    def process(self, row: JobRow) -> ProcessFolder:
        """Return the process of the job's newest attempt."""
        attempt = self.database.jobs.get(row.id).attempt
        return ProcessFolder(self.settings.home / "jobs" / f"{row.key}-{attempt}")

    def commands(self, row: JobRow) -> list[tuple[str, str]]:
        """Return (what, who) of each command in the job's history."""
        events = self.database.jobs.events(row.id)
        return [(event.message, event.created_by) for event in events if event.kind == "command"]

    async def keep(self, handle: WorkflowHandle[Any, Any], ending: str, kind: str = "training") -> None:
        """Store the history for `test_replay`, when asked to and where there is none of this version."""
        path = HISTORIES / f"{kind}-{ending}-{__version__}.json"
        if os.environ.get("RECORD_HISTORIES") and not path.exists():
            history = json.loads((await handle.fetch_history()).to_json())
            path.write_text(json.dumps(_anywhere(history, str(self.folder)), indent=1) + "\n")

    def points(self, row: JobRow) -> list[tuple[int, int | None]]:
        """Return (attempt, step) of each recorded point."""
        return [(point.attempt, point.step) for _, point in self.database.progress.points(row.id)]


def _anywhere(part: Any, folder: str) -> Any:
    """Take out of a history what only tells on which machine it was recorded."""
    if isinstance(part, list):
        return [_anywhere(item, folder) for item in part]
    if isinstance(part, str):
        return "worker" if re.fullmatch(r"\d+@\S+", part) else part.replace(folder, "/home/somebody")
    if not isinstance(part, dict):
        return part
    told = {key: _anywhere(value, folder) for key, value in part.items() if key != "stackTrace"}
    if set(told) == {"metadata", "data"}:
        plain = base64.b64decode(told["data"]).replace(folder.encode(), b"/home/somebody")
        told["data"] = base64.b64encode(plain).decode()
    return told


@pytest.fixture
def world(server: WorkflowEnvironment, tmp_path: Path):
    settings = load_settings({"MLTEMPORAL_HOME": str(tmp_path / "home")})
    Database.prepare(settings.database_url)
    database = Database.open(settings.database_url)
    yield World(server.client, settings, database, Storage(settings.storage_url), tmp_path)
    database.close()
    folders = [ProcessFolder(path.parent) for path in settings.home.glob("jobs/*/order.json")]
    for folder in folders:
        folder.kill()
    assert not folders, "a process was left behind"
    assert not list(settings.home.glob("launch/*")), "an environment was left behind"
