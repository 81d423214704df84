"""What people search for is a value in every statement, on both databases."""

from collections.abc import Callable

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow

TEXTS = [
    "' OR 1=1 --",
    "'; DROP TABLE jobs; --",
    '" OR ""="',
    "%",
    "_",
    "\\",
    ":name",
    "%(name)s",
    "$1",
    "?",
    "a\0b",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_search_finds_what_is_called_so_and_nothing_else(
    database: Database, make_job: Callable[..., JobRow], text: str
) -> None:
    other = make_job(tags=["other"])
    tagged = make_job(tags=[text])
    assert [] == database.jobs.find(name=text, limit=10)
    assert [tagged.id] == [row.id for row in database.jobs.find(tag=text, limit=10)]
    assert [] == database.jobs.find(status=[text], limit=10)
    assert database.datasets.named(text) is None
    assert database.datasets.of(text) is None
    database.jobs.add_event(other.id, Event(time=1.0, kind=text, message=text, created_by=text), key=text)
    database.jobs.add_event(other.id, Event(time=1.0, kind=text, message=text, created_by=text), key=text)
    assert 1 == [event.message for event in database.jobs.events(other.id)].count(
        text.replace("\0", "\ufffd")
    )
    assert 2 == len(database.jobs.find(limit=10))
