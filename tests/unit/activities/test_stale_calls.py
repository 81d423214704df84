"""What comes late, or again, to a job that a person has had started again: it touches nothing."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import InvalidRequest
from mltemporal.specs.orders import ORDERS, Answer, Order, Orders
from mltemporal.specs.results import Outcome
from mltemporal.specs.running import Attempt, Command, JobStatus
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.commanding import CommandActivities
from mltemporal.workflows.activities.kubernetes import JobActivities


class Launcher:
    """Knows which names it was asked to delete."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    async def forget(self, key: str) -> None:
        self.touched.append(key)

    async def find(self, name: str) -> None:
        return None

    async def delete(self, name: str) -> None:
        self.touched.append(name)


@pytest.fixture
def job(begun: Callable[..., JobRow]) -> JobRow:
    return begun()


async def cleaned_up(database: Database, storage: Storage, outcome: Outcome) -> list[str]:
    launcher = Launcher()
    launchers: Any = {"local": launcher}
    await ActivityEnvironment().run(JobActivities(database, storage, launchers).cleanup_resources, outcome)
    return launcher.touched


async def test_a_clean_up_that_slept_leaves_a_retried_job_alone(
    database: Database, storage: Storage, job: JobRow
) -> None:
    slept = Outcome(job_id=job.id, status=JobStatus.FAILED, attempts=1, what="it broke")
    assert [job.key, f"{job.key}-1"] == await cleaned_up(database, storage, slept)
    assert database.jobs.get(job.id).status is JobStatus.FAILED
    assert database.jobs.reopen(job.id)
    assert [] == await cleaned_up(database, storage, slept), "its next attempt has not begun"
    database.jobs.start_attempt(job.id, 2)
    assert [] == await cleaned_up(database, storage, slept)
    assert not database.jobs.get(job.id).status.final
    attempts = [each["finished_at"] is None for each in database.jobs.attempts(job.id)]
    assert [False, True] == attempts
    await cleaned_up(database, storage, replace(slept, attempts=2))
    assert database.jobs.get(job.id).status is JobStatus.FAILED, "its own ends it"


async def test_a_retry_that_came_to_no_attempt_is_cleaned_up(
    database: Database, storage: Storage, job: JobRow
) -> None:
    database.jobs.finish(job.id, JobStatus.FAILED)
    database.jobs.reopen(job.id)
    invalid = Outcome(job_id=job.id, status=JobStatus.FAILED, attempts=0, what="the dataset is gone")
    await cleaned_up(database, storage, invalid)
    assert database.jobs.get(job.id).status is JobStatus.FAILED


async def test_a_command_that_an_earlier_run_recorded_is_refused(
    database: Database, storage: Storage, job: JobRow
) -> None:
    async def given(attempt: int, tries: int = 1) -> str:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=tries)
        activities = CommandActivities(database, storage, {})
        command = Command(job_id=job.id, verb="extend", by="me@here", id="a1", timeout_s=3600.0)
        answer: str = await environment.run(
            activities.command_training_job, Attempt(job_id=job.id, number=attempt), command
        )
        return answer

    first = await given(1)
    assert first == await given(1, tries=2), "the activity is tried again, as nobody heard its answer"
    for attempt, tries in ((1, 1), (2, 1), (2, 2)):
        with pytest.raises(InvalidRequest, match="given before"):
            await given(attempt, tries)
    assert 1 == [event.kind for event in database.jobs.events(job.id)].count("command")


async def test_what_an_earlier_try_has_recorded_of_a_command_stands(
    database: Database, storage: Storage, job: JobRow
) -> None:
    async def tried_again(verb: str, recorded: str) -> str:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=2)
        event = Event(time=time.time(), kind="command", attempt=1, message=recorded)
        database.jobs.add_event(job.id, event, key=f"command-{verb}")
        launchers: Any = {"local": Launcher()}
        activities = CommandActivities(database, storage, launchers)
        command = Command(job_id=job.id, verb=verb, by="me@here", id=verb)
        answer: str = await environment.run(
            activities.command_training_job, Attempt(job_id=job.id, number=1), command
        )
        return answer

    assert "stop_early: it was carried out" == await tried_again("stop_early", "stop_early")
    with pytest.raises(InvalidRequest, match="^cannot pause a job that has no process"):
        await tried_again("pause", "pause refused: cannot pause a job that has no process")
    told = [event.message for event in database.jobs.events(job.id) if event.kind == "command"]
    assert ["stop_early", "pause refused: cannot pause a job that has no process"] == told


async def test_an_order_that_was_written_down_before_the_worker_died_is_not_refused(
    database: Database, storage: Storage, job: JobRow
) -> None:
    """The process has ended since; the next attempt finds the order, and does what it says."""
    orders = Orders(given=(Order(id="a1", verb="stop_early", attempt=1),))
    storage.put_note(job.key, ORDERS, orders)
    storage.put_note(job.key, "1/answers", {"a2": Answer(words="a checkpoint was saved at step 3")})

    async def tried_again(verb: str, command_id: str) -> str:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=2)
        launchers: Any = {"local": Launcher()}
        command = Command(job_id=job.id, verb=verb, by="me@here", id=command_id)
        answer: str = await environment.run(
            CommandActivities(database, storage, launchers).command_training_job,
            Attempt(job_id=job.id, number=1),
            command,
        )
        return answer

    assert "asked: the process has ended meanwhile; another attempt hears of it" == await tried_again(
        "stop_early", "a1"
    )
    with pytest.raises(InvalidRequest, match="has no process"):
        await tried_again("checkpoint_now", "a3")
    storage.put_note(job.key, ORDERS, Orders(given=(Order(id="a2", verb="checkpoint_now", attempt=1),)))
    assert "a checkpoint was saved at step 3" == await tried_again("checkpoint_now", "a2")
    storage.put_note(job.key, ORDERS, Orders(given=(Order(id="a4", verb="checkpoint_now", attempt=1),)))
    with pytest.raises(InvalidRequest, match="has no process"):  # it was for this attempt only
        await tried_again("checkpoint_now", "a4")
