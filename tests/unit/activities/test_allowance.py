"""Whatever a job says, and however fast: the record stays bounded, and says what it left out."""

import json
from collections.abc import Callable

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.progress import Said
from mltemporal.progress import format_line
from mltemporal.specs.data import Column, DatasetRef, ObjectRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.workflows.activities import allowance
from mltemporal.workflows.activities.allowance import (
    BURST,
    MANY,
    MOST_NAMES,
    MOST_NOTES,
    PER_SECOND,
    Allowance,
)
from mltemporal.workflows.activities.follower import Follower

REF = ObjectRef(sha256="ab" * 32, size_bytes=7)


@pytest.fixture
def follower(database: Database) -> Callable[[], Follower]:
    """Make a follower of one job's first attempt, from where the record stands."""
    dataset = DatasetRef(fingerprint="cd" * 32, rows=3, columns=(Column(name="a", type="int64"),))
    spec = JobSpec(
        key="training-1", name="a job", dataset=dataset, trainer=TrainerRef(kind="script", label="s.py")
    )
    row, _ = database.jobs.add(spec, fingerprint="f", dataset_id=database.datasets.add(dataset))
    database.jobs.start_attempt(row.id, 1)

    def make() -> Follower:
        return Follower(database, row.id, 1, {}, position=database.progress.place(row.id, 1).position)

    return make


def notes(database: Database) -> list[str]:
    return [event.message for event in database.jobs.events(1) if event.kind == "note"]


def reports(count: int, start: int = 0) -> bytes:
    return b"".join(format_line(step=step, metrics={"loss": 1.0}) for step in range(start, start + count))


def taken(allowed: Allowance, offered: int) -> int:
    return sum(allowed.point(100) for _ in range(offered))


@pytest.mark.parametrize(
    ("age", "expected"), [(0, BURST), (10, BURST + 10 * PER_SECOND), (10**6, MANY + 10**6)]
)
def test_points_are_taken_by_the_age_of_the_attempt(age: int, expected: int) -> None:
    assert expected == taken(Allowance(Said(since=0.0), clock=lambda: float(age)), expected + 100)


def test_a_long_line_counts_as_several() -> None:
    allowed = Allowance(Said(since=0.0), clock=lambda: 0.0)
    assert BURST // 4 == sum(allowed.point(3500) for _ in range(BURST))


def test_a_clock_that_runs_backwards_takes_the_burst_at_least() -> None:
    assert BURST == taken(Allowance(Said(since=1e9), clock=lambda: 0.0), BURST + 1)


def test_a_flood_of_points_is_bounded_and_its_newest_is_recorded(
    database: Database, follower: Callable[[], Follower]
) -> None:
    following = follower()
    flood = 3 * BURST
    for start in range(0, flood, 1000):
        assert following.feed(reports(1000, start))
    assert following.latest is not None
    assert flood - 1 == following.latest.step
    assert following.feed(b"", last=True)
    points = database.progress.points(1)
    assert BURST <= len(points) < flood
    assert flood - 1 == points[-1][1].step
    assert ["it reports faster than is recorded"] == [note.partition(":")[0] for note in notes(database)]


def test_whoever_takes_over_counts_on_and_says_it_once(
    database: Database, follower: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "BURST", 20)
    monkeypatch.setattr(allowance, "PER_SECOND", 0)
    for start in range(0, 100, 10):
        assert follower().feed(reports(10, start))
    assert list(range(20)) == [point.step for _, point in database.progress.points(1)]
    assert 1 == len(notes(database))


def test_ten_thousand_metrics_are_bounded(database: Database, follower: Callable[[], Follower]) -> None:
    following = follower()
    for start in range(0, 10_000, 100):
        line = format_line(step=start, metrics={f"m{i}": 1.0 for i in range(start, start + 100)})
        assert following.feed(line)
    names = {name for _, point in database.progress.points(1) for name in point.metrics}
    assert MOST_NAMES == len(names)
    assert 100 == len(database.progress.points(1)), "each still says how far it is"
    assert ["more than 1,000 different metrics: those that came later are left out"] == notes(database)


def test_a_name_too_long_is_left_out_and_a_megabyte_is_no_progress(
    database: Database, follower: Callable[[], Follower]
) -> None:
    huge = b"::mltemporal::" + json.dumps({"metrics": {"x" * 1_000_000: 1}}).encode() + b"\n"
    assert follower().feed(format_line(metrics={"x" * 201: 1.0, "loss": 1.0}) + huge)
    assert [{"loss": 1.0}] == [point.metrics for _, point in database.progress.points(1)]
    assert 1_000_000 < sum(len(text) for _, _, text in database.progress.log(1))


def test_names_and_notes_reach_the_record_clean(database: Database, follower: Callable[[], Follower]) -> None:
    following = follower()
    assert following.feed(
        format_line(metrics={"\x1b[31mloss": 1.0})
        + format_line(event="note", text="\x1b]0;owned\x07chosen")
        + format_line(event="stage", text="\x1b[2Jtraining\r\n")
    )
    assert [{"loss": 1.0}] == [point.metrics for _, point in database.progress.points(1)]
    assert (["chosen"], "training") == (notes(database), following.stage)


def test_a_hundred_thousand_notes_are_bounded_and_the_rest_is_in_the_log(
    database: Database, follower: Callable[[], Follower]
) -> None:
    line = format_line(event="note", text="chosen")
    following = follower()
    for _ in range(100):
        assert following.feed(line * 1000)
    assert MOST_NOTES + 1 == len(notes(database))
    assert "more than 200 notes" in notes(database)[-1]
    assert line.decode().strip() in database.progress.log(1)[-1][2]


def test_a_hundred_thousand_stages_leave_one(database: Database, follower: Callable[[], Follower]) -> None:
    following = follower()
    assert following.feed(b"".join(format_line(event="stage", text=f"stage {i}") for i in range(100_000)))
    assert "stage 99999" == following.stage
    assert ["submitted", "attempt"] == [event.kind for event in database.jobs.events(1)]


def test_artifacts_are_bounded_and_none_leads_elsewhere(
    database: Database, follower: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_ARTIFACTS", 5)
    wrong = ["../../x", "/etc/passwd", "C:\\x", "a\0b", "\x1b[31m", "x" * 300]
    names = [*wrong, *(f"{i}.txt" for i in range(10))]
    assert follower().feed(b"".join(format_line(event="artifact", name=name, object=REF) for name in names))
    assert [f"{i}.txt" for i in range(5)] == [found.name for found in database.progress.artifacts(1)]
    assert 1 == len(notes(database))


@pytest.mark.parametrize("size", [1, 1000, 65_536, 65_537, 1 << 20])
def test_a_line_of_any_length_is_recorded_in_the_same_pieces_however_it_arrives(
    database: Database, follower: Callable[[], Follower], size: int
) -> None:
    output = b"first\n" + b"x" * 200_000 + b"\nlast\n"
    following = follower()
    for start in range(0, len(output), max(size, 500)):
        assert following.feed(output[start : start + max(size, 500)])
        assert following.read_to - following.position < 70_000, "what waits is bounded"
    assert following.feed(b"", last=True)
    text = "".join(text for _, _, text in database.progress.log(1))
    assert [5, 65_536, 65_536, 65_536, 3_392, 4] == [len(line) for line in text.splitlines()]
