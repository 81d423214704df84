"""From bytes, however they are cut, to points, log lines, notes and artifacts."""

import math
import random
from collections.abc import Callable

import pytest

from mltemporal.database.engine import Database
from mltemporal.progress import format_line
from mltemporal.specs.data import Column, DatasetRef, ObjectRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.views import Point
from mltemporal.workflows.activities import allowance
from mltemporal.workflows.activities.follower import Follower

MakeFollower = Callable[..., Follower]

OUTPUT = (
    b"loading\n"
    + format_line(step=1, total=3, metrics={"loss": 0.5})
    + "größe: 3\r\n".encode()
    + b"  0%|          |\r 50%|#####     |\r100%|##########|\n"
    + format_line(event="stage", text="training")
    + b" 10%|#         | "
    + format_line(step=2, total=3, metrics={"loss": None})
    + b"not \xff utf-8\n\n"
    + format_line(event="note", text="chosen")
    + b"::mltemporal::{odd}\n"
    + format_line(step=3, total=3, metrics={"loss": 0.25})
    + b"the last words"
)
LOG = [
    "loading",
    "größe: 3",
    "100%|##########|",
    "not \ufffd utf-8",
    "",
    "::mltemporal::{odd}",
    "the last words",
]


@pytest.fixture
def follower(database: Database) -> MakeFollower:
    """Make a follower of one job's first attempt, from where the record stands."""
    dataset = DatasetRef(fingerprint="cd" * 32, rows=3, columns=(Column(name="a", type="int64"),))
    spec = JobSpec(
        key="training-1", name="a job", dataset=dataset, trainer=TrainerRef(kind="script", label="s.py")
    )
    row, _ = database.jobs.add(spec, fingerprint="f", dataset_id=database.datasets.add(dataset))
    database.jobs.start_attempt(row.id, 1)

    def make(patterns: dict[str, str] | None = None) -> Follower:
        position = database.progress.place(row.id, 1).position
        return Follower(database, row.id, 1, patterns or {}, position=position)

    return make


def steps(database: Database) -> list[int | None]:
    return [point.step for _, point in database.progress.points(1)]


def log(database: Database) -> list[str]:
    return "".join(text for _, _, text in database.progress.log(1)).split("\n")[:-1]


def test_progress_mixed_with_text_is_told_apart(database: Database, follower: MakeFollower) -> None:
    following = follower()
    assert following.feed(OUTPUT, last=True)
    assert [1, 2, 3] == steps(database)
    assert LOG == log(database)
    assert "training" == following.stage
    assert ["chosen"] == [event.message for event in database.jobs.events(1) if event.kind == "note"]
    losses = [point.metrics["loss"] for _, point in database.progress.points(1)]
    assert (0.5, True, 0.25) == (losses[0], math.isnan(losses[1]), losses[2])
    assert following.latest is not None
    assert 3 == following.latest.step
    assert len(OUTPUT) == following.position == following.read_to == database.progress.place(1, 1).position


@pytest.mark.parametrize("seed", range(5))
def test_wherever_the_output_is_cut_the_record_is_the_same(
    database: Database, follower: MakeFollower, seed: int
) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, len(OUTPUT)), 40))
    following = follower()
    for start, end in zip([0, *cuts], [*cuts, len(OUTPUT)], strict=True):
        assert following.feed(OUTPUT[start:end], last=end == len(OUTPUT))
        assert end == following.read_to
    assert [1, 2, 3] == steps(database)
    assert LOG == log(database)


@pytest.mark.parametrize("cut", range(0, len(OUTPUT), 17))
def test_whoever_takes_over_goes_on_where_the_record_stands(
    database: Database, follower: MakeFollower, cut: int
) -> None:
    assert follower().feed(OUTPUT[:cut])
    second = follower()
    assert second.position <= cut
    assert second.feed(OUTPUT[second.position :], last=True)
    assert [1, 2, 3] == steps(database)
    assert LOG == log(database)


def test_an_unfinished_line_waits_for_its_end(database: Database, follower: MakeFollower) -> None:
    following = follower()
    assert following.feed(b"one\ntw")
    assert (["one"], 4, 6) == (log(database), following.position, following.read_to)
    assert following.feed(b"o\n")
    assert ["one", "two"] == log(database)


def test_the_last_line_needs_no_newline(database: Database, follower: MakeFollower) -> None:
    following = follower()
    assert following.feed(b"one\n" + format_line(step=7).rstrip(b"\n"))
    assert [] == steps(database)
    assert following.feed(b"", last=True)
    assert [7] == steps(database)


def test_no_output_at_all_is_no_batch(database: Database, follower: MakeFollower) -> None:
    following = follower()
    assert following.feed(b"")
    assert following.feed(b"", last=True)
    assert ([], 0) == (database.progress.log(1), following.position)


def test_a_line_without_end_is_recorded_in_pieces(database: Database, follower: MakeFollower) -> None:
    following = follower()
    for _ in range(40):
        assert following.feed(b"x" * 4096)
    assert 64 << 10 < following.position <= following.read_to == 40 * 4096
    assert following.feed(b"", last=True)
    assert "x" * (40 * 4096) == "".join(log(database))


def test_a_character_that_is_cut_in_two_is_whole(database: Database, follower: MakeFollower) -> None:
    following = follower()
    for byte in "ü€😀\n".encode():
        assert following.feed(bytes([byte]))
    assert ["ü€😀"] == log(database)


def test_of_two_followers_the_slower_one_is_told_to_start_again(
    database: Database, follower: MakeFollower
) -> None:
    slow, quick = follower(), follower()
    assert quick.feed(OUTPUT, last=True)
    assert not slow.feed(OUTPUT, last=True)
    assert [1, 2, 3] == steps(database)


def test_metrics_of_other_programs_are_found_and_stay_in_the_log(
    database: Database, follower: MakeFollower
) -> None:
    following = follower({"loss": r"loss=(\S+)", "lr": r"lr=(\S+)?"})
    assert following.feed(b"epoch 1 loss=0.5 lr=\nloss=low\n")
    assert [{"loss": 0.5}] == [point.metrics for _, point in database.progress.points(1)]
    assert ["epoch 1 loss=0.5 lr=", "loss=low"] == log(database)


def test_artifacts_are_registered_and_half_ones_are_ordinary_output(
    database: Database, follower: MakeFollower
) -> None:
    ref = ObjectRef(sha256="ab" * 32, size_bytes=7)
    nameless = b'::mltemporal::{"event":"artifact","name":"b.txt"}\n'
    assert follower().feed(format_line(event="artifact", name="a.txt", object=ref) + nameless)
    assert [("a.txt", ref)] == [(a.name, a.object) for a in database.progress.artifacts(1)]


def test_a_point_that_was_held_back_is_recorded_once_there_is_room(
    database: Database, follower: MakeFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "BURST", 3)
    monkeypatch.setattr(allowance, "PER_SECOND", 0)
    made = follower()
    assert made.feed(b"".join(format_line(step=step, metrics={"loss": 1.0}) for step in range(1, 6)))
    assert ([1, 2, 3], False) == (steps(database), made.can_catch_up)
    monkeypatch.setattr(allowance, "BURST", 4)
    assert made.can_catch_up
    assert made.feed(b"")
    assert ([1, 2, 3, 5], False) == (steps(database), made.can_catch_up)
    assert made.feed(b"", last=True)
    assert [1, 2, 3, 5] == steps(database)


@pytest.mark.parametrize("cuts", [1, 3, 7])
def test_what_a_second_process_of_an_attempt_reports_takes_the_place_of_the_first_ones(
    database: Database, follower: MakeFollower, cuts: int
) -> None:
    """A pod that was paused and goes on: the steps after its last checkpoint are done again."""
    begin = format_line(event="stage", text="starting", begins=True)

    def reports(*steps: int | None, loss: float) -> list[bytes]:
        return [format_line(step=step, metrics={"loss": loss}) for step in steps]

    output = [begin, *reports(1, 2, None, 3, 4, loss=1.0), begin, *reports(None, 3, 4, 5, loss=2.0)]
    made = follower()
    for at in range(0, len(output), cuts):
        assert made.feed(b"".join(output[at : at + cuts]))
    told = [(point.step, point.metrics["loss"]) for _, point in database.progress.points(1)]
    assert [(1, 1.0), (2, 1.0), (None, 1.0), (None, 2.0), (3, 2.0), (4, 2.0), (5, 2.0)] == told


def test_a_second_process_is_known_by_whoever_goes_on_following(
    database: Database, follower: MakeFollower
) -> None:
    """The worker dies each time after it has recorded a line."""
    output = [
        format_line(event="stage", text="starting", begins=True),
        *(format_line(step=step, metrics={}) for step in (1, 2, 3)),
        format_line(event="stage", text="starting", begins=True),
        b"loading\n",
        *(format_line(step=step, metrics={}) for step in (3, 4, 1)),
    ]
    for line in output:
        assert follower().feed(line)
    assert [1, 2, 3, 4, 1] == steps(database)
    notes = [event.message for event in database.jobs.events(1) if event.kind == "note"]
    assert ["another process goes on with the attempt"] == notes


def test_a_process_whose_output_is_all_that_is_left_takes_the_place_of_what_was_recalled(
    database: Database, follower: MakeFollower
) -> None:
    """The log of the first one went unread; what it had put beside its checkpoint is one step ahead."""
    recalled = [Point(attempt=1, time=float(step), step=step) for step in (1, 2, 3)]
    database.progress.recall(1, 1, database.progress.untold(1, 1, recalled))
    begin = format_line(event="stage", text="starting", begins=True)
    output = begin + format_line(step=3, metrics={}, time=9.0)
    assert follower().feed(output)
    points = [(point.step, point.time) for _, point in database.progress.points(1)]
    assert [(1, 1.0), (2, 2.0), (3, 9.0)] == points


def test_the_first_words_of_a_job_and_a_stage_of_its_own_are_no_second_process(
    database: Database, follower: MakeFollower
) -> None:
    begin = format_line(event="stage", text="starting", begins=True)
    own = format_line(event="stage", text="starting")
    assert follower().feed(b"a warning at import\n" + begin + begin + format_line(step=1, metrics={}) + own)
    assert follower().feed(format_line(step=1, metrics={}))
    assert [1, 1] == steps(database)
    assert [] == [event for event in database.jobs.events(1) if event.kind == "note"]
