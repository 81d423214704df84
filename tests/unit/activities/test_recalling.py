"""The gaps of a curve are filled from what was kept beside checkpoints."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.progress import Piece, format_line, parse_line, reported
from mltemporal.specs.data import Column, DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities import allowance
from mltemporal.workflows.activities.follower import Follower
from mltemporal.workflows.activities.recalling import recall


@pytest.fixture
def job(database: Database) -> JobRow:
    dataset = DatasetRef(fingerprint="cd" * 32, rows=3, columns=(Column(name="a", type="int64"),))
    spec = JobSpec(
        key="training-1", name="a job", dataset=dataset, trainer=TrainerRef(kind="script", label="s.py")
    )
    row, _ = database.jobs.add(spec, fingerprint="f", dataset_id=database.datasets.add(dataset))
    for attempt in (1, 2):
        database.jobs.start_attempt(row.id, attempt)
    return row


def lines(steps: Iterable[int], *, began: float = 0.0) -> list[str]:
    """What a process reports, a second a step."""
    return [format_line(time=began + step, step=step, metrics={"loss": 1 / step}).decode() for step in steps]


def kept(storage: Storage, attempt: int, process: int, *pieces: list[str]) -> None:
    first = parse_line(pieces[0][0])
    for number, piece in enumerate(pieces):
        name = f"{reported(attempt)}/{process:06d}-{number:09d}"
        storage.put_note("training-1", name, Piece(first=first and first.step, lines=tuple(piece)))


def read(database: Database, job: JobRow, attempt: int, output: list[str]) -> None:
    assert Follower(database, job.id, attempt, {}).feed("".join(output).encode(), last=True)


def curve(database: Database, job: JobRow) -> list[tuple[int, int | None]]:
    return [(point.attempt, point.step) for _, point in database.progress.points(job.id)]


def test_the_unread_end_of_a_log_is_recorded_and_the_rest_only_once(
    database: Database, storage: Storage, job: JobRow
) -> None:
    read(database, job, 1, lines(range(1, 4)))
    kept(storage, 1, 1, lines(range(1, 6)), lines(range(6, 8)))
    for _ in range(2):
        recall(database, storage, job, 1)
    assert [(1, step) for step in range(1, 8)] == curve(database, job)
    values = [point.metrics["loss"] for _, point in database.progress.points(job.id)]
    assert [1 / step for step in range(1, 8)] == values


def test_where_nothing_was_kept_nothing_changes(database: Database, storage: Storage, job: JobRow) -> None:
    read(database, job, 1, lines([1]))
    recall(database, storage, job, 2)
    assert [(1, 1)] == curve(database, job)


def test_a_pod_that_went_on_unseen_until_the_next_one_began_is_looked_at_again(
    database: Database, storage: Storage, job: JobRow
) -> None:
    kept(storage, 1, 1, lines([1, 2]))
    recall(database, storage, job, 1)
    kept(storage, 1, 1, lines([1, 2, 3]))
    read(database, job, 2, lines([4], began=10))
    recall(database, storage, job, 2)
    assert [(1, 1), (1, 2), (1, 3), (2, 4)] == curve(database, job)


def test_a_note_that_was_cut_off_is_passed_over_and_said(
    database: Database, storage: Storage, job: JobRow, caplog: pytest.LogCaptureFixture
) -> None:
    kept(storage, 1, 1, lines([1]), lines([2]), lines([3]))
    (cut,) = Path(storage.url).rglob("*-000000001.json")
    cut.write_text("")
    recall(database, storage, job, 1)
    assert [(1, 1), (1, 3)] == curve(database, job)
    assert "points of job 1 may be missing" in caplog.text


def test_what_was_left_out_of_the_record_on_purpose_is_not_brought_back(
    database: Database, storage: Storage, job: JobRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("BURST", 10), ("PER_SECOND", 0), ("MANY", 10)):
        monkeypatch.setattr(allowance, name, value)
    told = lines(range(1, 100))
    read(database, job, 1, told)
    before = curve(database, job)
    assert len(before) < 20
    kept(storage, 1, 1, told)
    recall(database, storage, job, 1)
    assert before == curve(database, job)
    kept(storage, 1, 1, lines(range(1, 2_000)))
    recall(database, storage, job, 1)
    assert len(curve(database, job)) < 20, "nor more than it takes"


def test_only_reports_that_tell_their_time_are_recalled_and_what_else_lies_there_is_passed_over(
    database: Database, storage: Storage, job: JobRow
) -> None:
    others = [
        format_line(step=2, metrics={}).decode(),
        format_line(event="note", text="no point").decode(),
        "no line of progress",
    ]
    kept(storage, 1, 1, [*lines([1]), *others])
    (note,) = Path(storage.url).rglob("*-000000000.json")
    (note.parent / "Foreign.json").write_text("{}")
    for _ in range(2):
        recall(database, storage, job, 1)
    assert [(1, 1)] == curve(database, job)


def test_a_second_process_of_an_attempt_takes_the_place_of_what_it_repeats(
    database: Database, storage: Storage, job: JobRow
) -> None:
    kept(storage, 1, 1, lines(range(1, 5)))
    kept(storage, 1, 2, lines(range(3, 7), began=10))
    recall(database, storage, job, 1)
    points = [(point.step, point.time) for _, point in database.progress.points(job.id)]
    assert [(1, 1.0), (2, 2.0), (3, 13.0), (4, 14.0), (5, 15.0), (6, 16.0)] == points
