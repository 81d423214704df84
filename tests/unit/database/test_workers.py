"""Workers say that they are there."""

import time
from dataclasses import replace

from mltemporal.database.engine import Database
from mltemporal.database.workers import SEEN_EVERY_S, WorkerInfo

INFO = WorkerInfo(
    id="one",
    host="here",
    pid=7,
    version="1.0",
    python="/usr/bin/python3",
    task_queue="mltemporal-1",
    started_at=1.0,
    seen_at=0.0,
)


def test_a_worker_that_was_seen_is_alive_until_it_says_goodbye(database: Database) -> None:
    database.workers.seen(INFO)
    database.workers.seen(INFO)
    database.workers.seen(replace(INFO, id="two", started_at=2.0))
    assert ["one", "two"] == [worker.id for worker in database.workers.alive()]
    database.workers.gone("one")
    database.workers.gone("one")
    assert ["two"] == [worker.id for worker in database.workers.alive()]


def test_a_worker_that_fell_silent_is_not_alive(database: Database, monkeypatch) -> None:
    database.workers.seen(INFO)
    later = time.time() + 3 * SEEN_EVERY_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert [] == database.workers.alive()
