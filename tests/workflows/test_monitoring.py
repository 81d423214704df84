"""Rounds of the monitor on a real server, stalls of real processes, notices to a real web server."""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mltemporal.monitoring import schedule
from mltemporal.specs.health import HealthState, Notice
from mltemporal.specs.running import JobStatus

COUNT = """
import json, os, time, mltemporal
attempt = json.loads(os.environ["MLTEMPORAL_JOB"])["attempt"]
for step in range(1, 4):
    mltemporal.report(step=step, total=5)
{then}
"""


async def until(condition, within_s=60):
    """Wait until ``condition()`` is true, and return what it gave."""
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


class Webhook:
    """A web server that notes what is posted to it, and answers as it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[int] = []
        """Of the next posts; after them it takes everything."""
        self.posted: list[dict[str, str]] = []


@contextmanager
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            hook.posted.append(json.loads(self.rfile.read(length)))
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(f"http://127.0.0.1:{server.server_port}/hooks/swordfish")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_rounds_are_started_by_a_schedule_recorded_and_told_once(world):
    """In this world no stack runs, which is a problem: people are told when it turns, by a child."""
    queue = f"mltemporal-{world.database.id}"
    monitor = schedule.monitor_id(world.settings, world.database, queue)
    health = world.database.health
    with webhook() as hook:
        hook.answers = [500, 429]
        world.settings = replace(world.settings, notify_webhook=hook.url)
        await schedule.put(world.client, monitor, queue=queue, every_s=3600.0)
        await schedule.put(world.client, monitor, queue=queue, every_s=1800.0)
        found = await schedule.describe(world.client, monitor)
        assert (1800.0, False) == (found.every_s, found.paused)
        assert found.next_run is not None
        async with world.worker():
            first = await until(lambda: health.newest(monitor))
            for handle in await until_listed(world, queue, "MonitoringWorkflow"):
                await handle.result()
            async with asyncio.timeout(30):  # the schedule hears of a round's end a moment later
                while len(health.since(monitor, 0.0)) < 2:
                    assert await schedule.trigger(world.client, monitor)
                    await asyncio.sleep(0.3)
            handles = await until_listed(world, queue, "MonitoringWorkflow")
            for handle in handles:
                await handle.result()
            (notice,) = await until_listed(world, queue, "NotificationWorkflow")
            await notice.result()
            told = (await notice.fetch_history()).to_json()
            await world.keep(notice, "told", "notification")
            for handle in handles:
                history = await handle.fetch_history()
                assert len(history.events) < 30
                if "NotificationWorkflow" in history.to_json():
                    await world.keep(handle, "problem", "monitoring")
                else:
                    await world.keep(handle, "quiet", "monitoring")
        assert await schedule.delete(world.client, monitor)
        assert not await schedule.delete(world.client, monitor)
        assert await schedule.describe(world.client, monitor) is None
    states = {check.part: check.state for check in health.newest(monitor).checks}
    assert (HealthState.OK, HealthState.OK) == (states["database"], states["storage"])
    assert (HealthState.PROBLEM, HealthState.OK) == (states["stack"], states["mending"])
    assert 3 == len(hook.posted), "two were refused, the third was taken, the second round said nothing new"
    assert "stack has a problem: not running. Next step: run `mltemporal up`" in hook.posted[-1]["text"]
    assert "swordfish" not in told
    assert {check.part for check in first.checks} >= {"Temporal", "workers", "task queues", "disk"}


async def until_listed(world, queue, kind):
    """Return handles of the queue's workflows of that kind, once there are some."""
    query = f"TaskQueue = '{queue}' AND WorkflowType = '{kind}'"
    async with asyncio.timeout(30):
        while not (found := [each async for each in world.client.list_workflows(query)]):
            await asyncio.sleep(0.05)
    return [world.client.get_workflow_handle(each.id, run_id=each.run_id) for each in found]


async def end_told(world, row):
    """The workflow that has told a job's end."""
    handle = await world.client.start_workflow(
        "NotificationWorkflow",
        Notice(job_id=row.id),
        id=f"{row.key}-ended",
        task_queue=f"mltemporal-{world.database.id}",
    )
    await handle.result()
    return handle


async def test_a_told_end_is_not_told_again_by_its_workflow_started_once_more(world):
    row = world.record("")
    (world.settings.home / "launch" / f"{row.key}.json").unlink()
    world.database.jobs.finish(row.id, JobStatus.FAILED, error="no")
    with webhook() as hook:
        world.settings = replace(world.settings, notify_webhook=hook.url)
        async with world.worker():
            first, second = await end_told(world, row), await end_told(world, row)
    assert first.first_execution_run_id != second.first_execution_run_id
    assert 1 == len(hook.posted)
    told = [event for event in world.database.jobs.events(row.id) if event.kind == "notice"]
    assert ["its end was told"] == [event.message for event in told]


async def test_a_jobs_end_is_told_to_webhook_and_command_without_its_traceback(world):
    told = world.folder / "told.jsonl"
    program = world.folder / "tell.py"
    program.write_text(f"import sys\nprint(sys.stdin.read(), file=open({str(told)!r}, 'a'))\n")
    row = world.record("")
    (world.settings.home / "launch" / f"{row.key}.json").unlink()
    error = 'Traceback (most recent call last):\n  File "a.py"\nValueError: odd & <ends>\nNext step: …'
    world.database.jobs.finish(row.id, JobStatus.FAILED, error=error)
    with webhook() as hook:
        hook.answers = [503]
        world.settings = replace(
            world.settings, notify_webhook=hook.url, notify_command=f"{sys.executable} '{program}'"
        )
        async with world.worker():
            handle = await end_told(world, row)
            await world.keep(handle, "job", "notification")
    (line,) = told.read_text().splitlines()  # what took it the first time is not told again
    message = json.loads(line)
    assert message["text"].startswith(f"job {row.id} 'a script' (training) failed after ")
    assert message["text"].endswith("\nValueError: odd & <ends>")
    assert ("failed", "ValueError: odd & <ends>") == (message["job"]["status"], message["job"]["reason"])
    assert [message["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")] * 2 == [
        posted["text"] for posted in hook.posted
    ]
    assert "odd" not in (await handle.fetch_history()).to_json()


def stalls(world, row) -> list[str]:
    return [event.message for event in world.database.jobs.events(row.id) if event.kind == "stall"]


async def test_a_training_that_stands_still_is_flagged_until_it_gets_on(world):
    go_on = world.folder / "go on"
    text = COUNT.format(
        then=f"while not os.path.exists({str(go_on)!r}): time.sleep(0.02)\n"
        "mltemporal.report(step=5, total=5)\ntime.sleep(1.5)"
    )
    async with world.worker():
        row, handle = await world.submit(text, stall_after_s=0.5)
        job = await until(lambda: (job := world.database.jobs.get(row.id)).stage.startswith("stands") and job)
        assert "stands still: no new step since step 3 for more than 0.5 s" == job.stage
        assert JobStatus.RUNNING is job.status
        go_on.touch()
        await until(lambda: not world.database.jobs.get(row.id).stage.startswith("stands"))
        await handle.result()
    assert ["it stands still: no new step since step 3 for more than 0.5 s"] == stalls(world, row)
    assert 1 == world.database.jobs.get(row.id).result.attempts


async def test_a_training_that_asked_for_it_is_restarted_from_its_checkpoint(world):
    text = COUNT.format(
        then="print('found', mltemporal.checkpoint.load(), flush=True)\n"
        "mltemporal.checkpoint.save(attempt)\n"
        "if attempt == 1: time.sleep(600)\n"
        "mltemporal.report(step=5, total=5)"
    )
    async with world.worker():
        row, handle = await world.submit(text, stall="restart", stall_after_s=0.5)
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, 2) == (job.status, job.result.attempts)
    assert ["found None", "found 1"] == "".join(
        text for _, _, text in world.database.progress.log(row.id)
    ).splitlines()
    first, second = world.database.jobs.attempts(row.id)
    assert ("interrupted", "succeeded") == (first["phase"], second["phase"])
    assert "stands still" in first["reason"]
    assert 1 == len(stalls(world, row))
