"""Whatever a job prints, reports and leaves: it ends, in words, and nothing grows without a bound."""

from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from mltemporal.errors import JobFailed
from mltemporal.notebook.picture import Picture
from mltemporal.notebook.static import to_html, to_text
from mltemporal.specs.running import JobStatus
from mltemporal.watching import log_lines, read_view
from mltemporal.workflows.activities.allowance import BURST, PER_SECOND

OWN_RESULT = """
import os
from mltemporal.runtime import context
from mltemporal.specs.results import RunOutput
job = context.current()
job.storage.put_note(job.key, f"{{job.attempt}}/output", RunOutput(metrics={metrics}))
os._exit(0)
"""
HUGE_ERROR = """
kind = type("E" * 1_000_000, (Exception,), {})
raise kind("m" * 5_000_000)
"""
FLOOD = """
import sys
line = '::mltemporal::{{"step": %d, "metrics": {{"loss": 0.5}}}}\\n'
for start in range(0, {lines}, 1000):
    sys.stdout.write("".join(line % step for step in range(start, start + 1000)))
sys.stdout.write("x" * 50_000_000)
"""
NASTY = r"""
import json, sys
evil = "<script>alert(1)</script>\x1b]0;owned\x07\x1b[31m\u202e"
print(evil)
print("::mltemporal::" + json.dumps({"step": 1, "metrics": {evil: 1.0}}))
print("::mltemporal::" + json.dumps({"event": "note", "text": evil}))
print("::mltemporal::" + json.dumps({"event": "stage", "text": evil}))
left = {"event": "artifact", "name": "../../" + evil, "object": {"sha256": "a", "size_bytes": 1}}
print("::mltemporal::" + json.dumps(left))
raise ValueError(evil)
"""


def as_seen(world: Any) -> Any:
    """What a reader of the record needs of a session."""
    return SimpleNamespace(database=world.database, job_url=lambda _: "")


async def test_a_result_of_a_million_metrics_fails_in_words(world):
    metrics = "{f'metric {i}': 1.0 for i in range(1_000_000)}"
    async with world.worker():
        row, handle = await world.submit(OWN_RESULT.format(metrics=metrics))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert "of which Temporal would have to carry every one" in job.error
    assert "keep the rest as artifacts" in job.error


async def test_an_error_of_megabytes_is_shortened_and_the_history_stays_small(world):
    async with world.worker():
        row, handle = await world.submit(HUGE_ERROR)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.FAILED
    assert len(job.error) < 110_000
    assert len((await handle.fetch_history()).to_json()) < 100_000


async def test_a_flood_of_points_and_a_line_without_end_neither_stop_the_job_nor_fill_the_record(world):
    lines = 100_000
    async with world.worker():
        row, handle = await world.submit(FLOOD.format(lines=lines))
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.SUCCEEDED
    steps = [step for _, step in world.points(row)]
    lasted = job.finished_at - job.started_at
    assert BURST <= len(steps) <= BURST + PER_SECOND * lasted + 1
    assert steps[-1] == lines - 1
    told = [event.message for event in world.database.jobs.events(row.id) if event.kind == "note"]
    assert ["it reports faster than is recorded"] == [note.partition(":")[0] for note in told]
    kept = sum(len(text) for _, _, text in world.database.progress.log(row.id))
    assert kept < 8 << 20, "the end of the log, of 50 MB"
    [attempt] = world.database.jobs.attempts(row.id)
    assert attempt["log_json"] is not None, "the whole log is in storage"


async def test_what_a_job_says_does_no_harm_wherever_it_is_shown(world):
    async with world.worker():
        row, handle = await world.submit(NASTY)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    here = as_seen(world)
    picture = Picture(read_view(here, row.id))
    assert "alert(1)" in picture.view.error, "or nothing would be shown here"
    page, text = to_html(picture), to_text(picture)
    shown = [page, text, *log_lines(here, row.id, tail=100), str(JobFailed(picture.view.error))]
    for each in shown:
        assert not {"\x1b", "\x07", "\u202e"} & set(each)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert [] == world.database.progress.artifacts(row.id)
    points = world.database.progress.points(row.id)
    assert ["<script>alert(1)</script>"] == [name for _, point in points for name in point.metrics]
