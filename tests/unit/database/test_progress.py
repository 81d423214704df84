"""What a running job says is recorded exactly once, whoever follows it."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from mltemporal.database import progress as module
from mltemporal.database.engine import Database
from mltemporal.database.gaps import ANOTHER_PROCESS
from mltemporal.database.jobs import JobRow
from mltemporal.database.progress import LOG_KEPT_BYTES, Batch, Place
from mltemporal.errors import NotFound
from mltemporal.specs.data import Artifact, ObjectRef
from mltemporal.views import Point

MakeJob = Callable[..., JobRow]


@pytest.fixture
def job(make_job: MakeJob, database: Database) -> JobRow:
    row = make_job()
    database.jobs.start_attempt(row.id, 1)
    return row


def point(step: int, attempt: int = 1, **metrics: float) -> Point:
    return Point(attempt=attempt, time=float(step), step=step, total=10, metrics=metrics)


def test_points_come_back_in_order_and_only_the_new_ones(database: Database, job: JobRow) -> None:
    record = database.progress
    batch = Batch(start=0, end=20, points=((0, point(1, loss=0.5)), (10, point(2, loss=math.nan))))
    assert record.append(job.id, 1, batch)
    (first_id, first), (last_id, second) = record.points(job.id)
    assert point(1, loss=0.5) == first
    assert math.isnan(second.metrics["loss"])
    assert [last_id] == [row_id for row_id, _ in record.points(job.id, after=first_id)]
    assert [] == record.points(job.id, after=last_id)
    last = record.last_point(job.id, 1)
    assert last is not None
    assert 2 == last.step
    assert record.last_point(job.id, 2) is None


def test_what_was_recorded_is_not_recorded_again(database: Database, job: JobRow) -> None:
    record = database.progress
    batch = Batch(start=0, end=10, points=((0, point(1)),), log="one\n", notes=((5, "chosen"),))
    assert record.append(job.id, 1, batch)
    assert not record.append(job.id, 1, batch)
    assert not record.append(job.id, 1, Batch(start=5, end=15, points=((5, point(2)),)))
    with pytest.raises(NotFound, match=f"job {job.id} has no attempt 2"):
        record.append(job.id, 2, Batch(start=0, end=10))
    assert (10, 1) == (record.place(job.id, 1).position, len(record.points(job.id)))
    assert ["one\n"] == [text for _, _, text in record.log(job.id)]
    assert 1 == [event.kind for event in database.jobs.events(job.id)].count("note")


def test_two_racing_followers_record_each_point_once(database: Database, job: JobRow) -> None:
    """Each follower reads on from the recorded position, as after a worker that was taken for dead."""
    record = database.progress
    line_bytes, lines = 10, 60
    start = threading.Barrier(2)
    refused = []

    def follow() -> None:
        start.wait()
        while (position := record.place(job.id, 1).position) < lines * line_bytes:
            batch = Batch(
                start=position,
                end=position + line_bytes,
                points=((position, point(position // line_bytes)),),
                log=f"line {position // line_bytes}\n",
            )
            if not record.append(job.id, 1, batch):
                refused.append(position)

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    assert list(range(lines)) == [seen.step for _, seen in record.points(job.id)]
    expected = "".join(f"line {i}\n" for i in range(lines))
    assert expected == "".join(text for _, _, text in record.log(job.id))


def test_of_an_endless_log_the_end_is_kept(
    database: Database, job: JobRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_KEPT_BYTES", 1000)
    record = database.progress
    for i in range(50):
        assert record.append(job.id, 1, Batch(start=i * 100, end=(i + 1) * 100, log=f"{i:099}\n"))
    kept = [int(text) for _, _, text in record.log(job.id)]
    assert list(range(40, 50)) == kept
    assert [48, 49] == [int(text) for _, _, text in record.log(job.id, newest=2)]


def test_the_logs_of_another_attempt_are_left_alone(
    database: Database, job: JobRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_KEPT_BYTES", 100)
    record = database.progress
    record.append(job.id, 1, Batch(start=0, end=50, log="first attempt\n"))
    database.jobs.start_attempt(job.id, 2)
    for i in range(5):
        record.append(job.id, 2, Batch(start=i * 100, end=(i + 1) * 100, log=f"{i}\n"))
    assert [(1, "first attempt\n"), (2, "4\n")] == [(n, text) for _, n, text in record.log(job.id)]


def test_a_log_beyond_two_gibibytes_has_its_position(database: Database, job: JobRow) -> None:
    record = database.progress
    assert record.append(job.id, 1, Batch(start=0, end=5 << 30, points=((5 << 30, point(2**53)),)))
    assert 5 << 30 == record.place(job.id, 1).position
    assert LOG_KEPT_BYTES < 1 << 30


def test_an_artifact_of_the_same_name_replaces_the_one_before(database: Database, job: JobRow) -> None:
    record = database.progress
    one, two = (ObjectRef(sha256=letter * 64, size_bytes=1) for letter in "ab")
    record.append(job.id, 1, Batch(start=0, end=1, artifacts=(Artifact(name="roc.png", object=one),)))
    replacing = (Artifact(name="roc.png", object=two), Artifact(name="a.txt", object=one))
    record.append(job.id, 1, Batch(start=1, end=2, artifacts=replacing))
    assert [("a.txt", one), ("roc.png", two)] == [(a.name, a.object) for a in record.artifacts(job.id)]


def test_a_null_byte_in_a_log_is_replaced(database: Database, job: JobRow) -> None:
    database.progress.append(job.id, 1, Batch(start=0, end=4, log="a\0b\n"))
    assert ["a\ufffdb\n"] == [text for _, _, text in database.progress.log(job.id)]


def test_each_rank_has_its_stream_and_points_are_rank_0_s(database: Database, job: JobRow) -> None:
    record = database.progress
    assert [] == record.ranks(job.id)
    object_ = ObjectRef(sha256="a" * 64, size_bytes=1)
    for rank in (2, 0, 10):
        said = Batch(
            start=0,
            end=10 + rank,
            points=((0, point(rank)),),
            notes=((0, f"note of {rank}"),),
            log=f"rank {rank}\n",
            artifacts=(Artifact(name=f"{rank}.txt", object=object_),),
        )
        assert record.append(job.id, 1, said, rank=rank)
        assert not record.append(job.id, 1, said, rank=rank)
    assert [0, 2, 10] == record.ranks(job.id)
    assert [Place(10), Place(), Place(12)] == [record.place(job.id, 1, rank) for rank in (0, 1, 2)]
    assert [["rank 0\n"], [], ["rank 2\n"]] == [
        [text for _, _, text in record.log(job.id, rank=rank)] for rank in (0, 1, 2)
    ]
    assert [0] == [seen.step for _, seen in record.points(job.id)]
    notes = [event.message for event in database.jobs.events(job.id) if event.kind == "note"]
    assert ["note of 0"] == notes
    assert ["0.txt", "10.txt", "2.txt"] == [artifact.name for artifact in record.artifacts(job.id)]


def test_the_cursor_stays_until_another_one_comes(database: Database, job: JobRow) -> None:
    record = database.progress
    assert Place() == record.place(job.id, 1)
    for start, end, cursor in ((0, 4, ""), (4, 8, "08:00"), (8, 12, ""), (12, 12, "09:00")):
        assert record.append(job.id, 1, Batch(start=start, end=end, cursor=cursor))
    assert Place(12, "09:00") == record.place(job.id, 1)
    assert not record.append(job.id, 1, Batch(start=8, end=16, cursor="10:00"))
    assert Place(12, "09:00") == record.place(job.id, 1)


def test_of_racing_first_words_one_is_recorded(database: Database, job: JobRow) -> None:
    start = threading.Barrier(6)
    answers = []

    def say(rank: int) -> None:
        start.wait()
        answers.append(
            (rank, database.progress.append(job.id, 1, Batch(start=0, end=4, log="one\n"), rank=rank))
        )

    threads = [threading.Thread(target=say, args=(rank,)) for rank in (0, 0, 0, 1, 1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(0, False)] * 2 + [(0, True)] + [(1, False)] * 2 + [(1, True)] == sorted(answers)
    assert [1, 1] == [len(database.progress.log(job.id, rank=rank)) for rank in (0, 1)]


def test_a_row_never_appears_below_one_that_was_read(database: Database, job: JobRow) -> None:
    """Otherwise who reads on after the newest id would miss it."""
    record = database.progress
    database.jobs.start_attempt(job.id, 2)
    later = threading.Thread(
        target=record.append, args=(job.id, 2, Batch(start=0, end=1, points=((0, point(2, attempt=2)),)))
    )
    with database.writing() as connection:
        module._lock(connection, job.id)
        module._add_progress(connection, job.id, 1, Batch(start=0, end=1, points=((0, point(1)),)))
        later.start()
        later.join(0.3)
        assert [] == record.points(job.id), "the later one waits"
    later.join()
    assert [1, 2] == [seen.step for _, seen in record.points(job.id)]


def recall(database: Database, job: JobRow, kept: list[Point]) -> None:
    database.progress.recall(job.id, 1, database.progress.untold(job.id, 1, kept))


def test_points_that_no_output_told_are_recorded_once_and_after_the_others(
    database: Database, job: JobRow
) -> None:
    record = database.progress
    record.append(job.id, 1, Batch(start=0, end=20, points=((0, point(1)), (10, point(2)))))
    for _ in range(2):
        recall(database, job, [point(step) for step in range(1, 5)])
    recall(database, job, [point(step) for step in range(1, 6)])
    assert [1, 2, 3, 4, 5] == [each.step for _, each in record.points(job.id)]
    assert [False, False, True, True, True] == [each.recalled for _, each in record.points(job.id)]


def test_what_was_left_out_before_the_last_recorded_point_stays_out(database: Database, job: JobRow) -> None:
    record = database.progress
    record.append(job.id, 1, Batch(start=0, end=20, points=((0, point(1)), (10, point(4)))))
    recall(database, job, [point(step) for step in range(1, 6)])
    assert [1, 4, 5] == [each.step for _, each in record.points(job.id)]


def test_what_was_recalled_and_is_then_read_is_not_recorded_again(database: Database, job: JobRow) -> None:
    record = database.progress
    recall(database, job, [point(1, loss=0.5), point(2)])
    read = ((0, point(1, loss=0.5)), (10, point(2)), (20, point(3)))
    assert record.append(job.id, 1, Batch(start=0, end=30, points=read))
    assert [1, 2, 3] == [each.step for _, each in record.points(job.id)]
    assert 30 == record.place(job.id, 1).position


def test_two_who_recall_at_once_record_a_point_once(database: Database, job: JobRow) -> None:
    kept = [point(1), point(2)]
    both = [database.progress.untold(job.id, 1, kept) for _ in range(2)]
    for each in both:
        database.progress.recall(job.id, 1, each)
    assert [1, 2] == [each.step for _, each in database.progress.points(job.id)]


def test_points_of_one_moment_and_step_are_all_recalled(database: Database, job: JobRow) -> None:
    recall(database, job, [point(1, loss=0.5), point(1, accuracy=0.9)])
    assert [{"loss": 0.5}, {"accuracy": 0.9}] == [p.metrics for _, p in database.progress.points(job.id)]


def test_the_points_of_another_attempt_are_not_taken_for_those_recalled(
    database: Database, job: JobRow
) -> None:
    record = database.progress
    database.jobs.start_attempt(job.id, 2)
    recall(database, job, [point(1)])
    record.append(job.id, 2, Batch(start=0, end=10, points=((0, point(1, attempt=2)),)))
    assert [(1, 1), (2, 1)] == [(each.attempt, each.step) for _, each in record.points(job.id)]


def test_a_process_of_which_nothing_was_read_takes_the_place_of_what_it_repeats(
    database: Database, job: JobRow
) -> None:
    record = database.progress
    read = tuple((step, point(step)) for step in range(1, 6))
    record.append(job.id, 1, Batch(start=0, end=50, points=read))
    second = [replace(point(step), time=100.0 + step) for step in (4, 5, 6)]
    recall(database, job, second)
    recall(database, job, second)
    assert [1, 2, 3, 4, 5, 6] == [each.step for _, each in record.points(job.id)]


def test_what_a_later_process_told_again_is_not_recalled(database: Database, job: JobRow) -> None:
    record = database.progress
    record.append(job.id, 1, Batch(start=0, end=20, points=((0, point(1)), (10, point(2)))))
    again = tuple((20 + step, replace(point(step), time=100.0 + step)) for step in (2, 3))
    begins = Batch(start=20, end=50, points=again, notes=((20, ANOTHER_PROCESS),), again_from=2)
    record.append(job.id, 1, begins)
    recall(database, job, [point(step) for step in range(1, 5)])
    assert [(1, 1.0), (2, 102.0), (3, 103.0)] == [(p.step, p.time) for _, p in record.points(job.id)]


def test_what_comes_late_stands_in_its_place_and_is_not_the_last_word(
    database: Database, job: JobRow
) -> None:
    record = database.progress
    database.jobs.start_attempt(job.id, 2)
    record.append(job.id, 1, Batch(start=0, end=20, points=((0, point(1)), (10, point(2)))))
    later = tuple((20 + step, replace(point(step), time=100.0 + step)) for step in (4, 5))
    record.append(job.id, 1, Batch(start=20, end=50, points=later, notes=((20, ANOTHER_PROCESS),)))
    record.append(job.id, 2, Batch(start=0, end=10, points=((0, point(6, attempt=2)),)))
    before = max(row_id for row_id, _ in record.points(job.id))
    recall(database, job, [point(step) for step in (1, 2, 3)])
    assert [1, 2, 3, 4, 5, 6] == [each.step for _, each in record.points(job.id)]
    assert [3] == [each.step for _, each in record.points(job.id, after=before)]
    last = record.last_point(job.id, 1)
    assert last is not None
    assert 5 == last.step


def test_a_clock_that_was_set_leaves_what_was_recalled_at_the_end(database: Database, job: JobRow) -> None:
    record = database.progress
    ahead = tuple((step, replace(point(step), time=90.0 + step)) for step in (1, 2))
    record.append(job.id, 1, Batch(start=0, end=20, points=ahead))
    recall(database, job, [*(each for _, each in ahead), point(3), point(4)])
    assert [1, 2, 3, 4] == [each.step for _, each in record.points(job.id)]
    last = record.last_point(job.id, 1)
    assert last is not None
    assert 4 == last.step


def test_a_first_report_without_a_step_is_no_other_process(database: Database, job: JobRow) -> None:
    record = database.progress
    before = Point(attempt=1, time=0.5, metrics={"lr": 0.1})
    record.append(job.id, 1, Batch(start=0, end=20, points=((0, before), (10, point(1)))))
    recall(database, job, [before, point(1), point(2), point(3)])
    assert [None, 1, 2, 3] == [each.step for _, each in record.points(job.id)]
