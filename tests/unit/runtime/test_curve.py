"""What is reported is kept beside checkpoints and results, where the log can be lost."""

import os
import signal
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from mltemporal.progress import KEEP_VARIABLE, Piece, parse_line, reported
from mltemporal.runtime import checkpoint, curve, reporting
from mltemporal.runtime.context import Job
from mltemporal.storage.content import Storage

FRAME = pd.DataFrame({"x": [1.0], "y": [2.0]})


@pytest.fixture
def in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEEP_VARIABLE, "1")
    curve.begin()


def notes(storage: Storage, attempt: int = 1) -> list[Piece]:
    """Return what was kept, piece by piece."""
    names = storage.note_names("job-1", reported(attempt))
    return [storage.get_note("job-1", name, Piece) or Piece() for name in names]


def pieces(storage: Storage, attempt: int = 1) -> list[list[int | None]]:
    """Return the steps in each piece."""
    return [
        [line.step for each in note.lines if (line := parse_line(each))] for note in notes(storage, attempt)
    ]


def report(steps: Sequence[int]) -> None:
    for step in steps:
        reporting.report(step=step, loss=1.0)


@pytest.mark.usefixtures("in_a_pod")
def test_a_checkpoint_has_what_was_reported_before_it_put_beside_it(
    job: Job, storage: Storage, capfd: pytest.CaptureFixture[str]
) -> None:
    report([1, 2])
    reporting.note("no point of a curve")
    assert [] == pieces(storage)
    checkpoint.save("state")
    report([3])
    assert [[1, 2]] == pieces(storage)
    checkpoint.save("state")
    assert [[1, 2, 3]] == pieces(storage)
    [note] = notes(storage)
    printed = [line + "\n" for line in capfd.readouterr().out.splitlines() if '"loss"' in line]
    assert (1, printed) == (note.first, list(note.lines))


@pytest.mark.usefixtures("in_a_pod")
def test_a_curve_that_storage_does_not_take_leaves_the_checkpoint_before(
    job: Job, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    report([1])
    checkpoint.save("first", step=1)
    put, failing = Storage.put_note, [True]

    def put_note(self: Storage, key: str, name: str, value: Any) -> None:
        if name.startswith(reported(1)) and failing:
            raise OSError("it is away")
        put(self, key, name, value)

    monkeypatch.setattr(Storage, "put_note", put_note)
    report([2])
    with pytest.raises(OSError, match="away"):
        checkpoint.save("second", step=2)
    assert ("first", [[1]]) == (checkpoint.load(), pieces(storage))
    failing.clear()
    checkpoint.save("second", step=2)
    assert ("second", [[1, 2]]) == (checkpoint.load(), pieces(storage))


@pytest.mark.usefixtures("in_a_pod")
def test_a_second_process_comes_after_the_first_whatever_its_clock_says(
    job: Job, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, now_ns in ((1, 2_000), (7, 1_000)):
        monkeypatch.setattr(curve, "_current", curve.Curve())
        monkeypatch.setattr(curve.time, "time_ns", lambda now_ns=now_ns: now_ns)
        report([step])
        curve.keep(job)
    assert [[1], [7]] == pieces(storage)


@pytest.mark.usefixtures("in_a_pod")
def test_what_is_remembered_between_two_checkpoints_is_bounded(
    job: Job, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve, "_MOST_BYTES", 1_000)
    report(range(100))
    curve.keep(job)
    (kept,) = pieces(storage)
    assert kept == list(range(100 - len(kept), 100))
    assert 5 < len(kept) < 20
    report([100])
    curve.keep(job)
    assert 100 == pieces(storage)[-1][-1]


@pytest.mark.usefixtures("in_a_pod")
def test_reports_that_were_held_back_are_kept_with_the_checkpoint(job: Job, storage: Storage) -> None:
    """Those above 100 a second wait for their turn; the checkpoint is past them."""
    report(range(2_500))
    checkpoint.save("state")
    assert 2_499 == pieces(storage)[-1][-1]


@pytest.mark.usefixtures("in_a_pod")
def test_what_is_kept_goes_with_the_checkpoints(job: Job, storage: Storage) -> None:
    report([1])
    checkpoint.save("state")
    assert 1 == checkpoint.discard_all(storage, job.key, attempts=1)
    assert [] == pieces(storage)


def test_a_process_whose_output_outlives_it_keeps_nothing(job: Job, storage: Storage) -> None:
    report([1, 2])
    checkpoint.save("state")
    assert [] == pieces(storage)


@pytest.mark.usefixtures("in_a_pod")
def test_long_curves_are_kept_in_pieces_and_only_the_newest_of_them(
    job: Job, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve, "PIECE_LINES", 3)
    monkeypatch.setattr(curve, "MOST_PIECES", 2)
    monkeypatch.setattr(curve, "_current", curve.Curve())
    written: list[str] = []
    put = Storage.put_note

    def put_note(self: Storage, key: str, name: str, value: Any) -> None:
        written.append(name)
        put(self, key, name, value)

    monkeypatch.setattr(Storage, "put_note", put_note)
    discarded: list[str] = []
    discard = Storage.discard_note

    def discard_note(self: Storage, key: str, name: str) -> None:
        discarded.append(name)
        discard(self, key, name)

    monkeypatch.setattr(Storage, "discard_note", discard_note)
    report(range(4))
    curve.keep(job)
    assert [[0, 1, 2], [3]] == pieces(storage)
    report([4])
    written.clear()
    curve.keep(job)
    curve.keep(job)
    assert (1, [[0, 1, 2], [3, 4]]) == (len(written), pieces(storage))
    report(range(5, 8))
    curve.keep(job)
    assert [[3, 4, 5], [6, 7]] == pieces(storage)
    report(range(8, 20))
    curve.keep(job)
    assert [[15, 16, 17], [18, 19]] == pieces(storage)
    assert {0} == {note.first for note in notes(storage)}
    assert not [name for name in discarded if discarded.count(name) > 1]
    assert 3 == len(discarded), "those that storage had, and no others"


@pytest.mark.usefixtures("in_a_pod")
def test_a_child_keeps_nothing_and_leaves_what_its_parent_has(job: Job, storage: Storage) -> None:
    report([1])
    child = os.fork()
    if not child:
        report([7])
        curve.keep(job)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [] == pieces(storage)
    curve.keep(job)
    assert [[1]] == pieces(storage)


@pytest.mark.usefixtures("in_a_pod")
def test_a_job_whose_request_is_gone_still_says_why_it_failed(runner: Any) -> None:
    runner.start()
    run = runner.finish()
    assert (1, "NotFound") == (run.exit_code, run.failure and run.failure.type), run.log


@pytest.mark.usefixtures("in_a_pod")
@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_a_curve_is_kept_with_result_and_failure(
    runner: Any, storage: Storage, fails: bool
) -> None:
    def fit(data: Any) -> int:
        import mltemporal

        mltemporal.report(step=1, loss=0.5)
        if fails:
            raise ValueError("meant to fail")
        return 3

    run = runner.run(FRAME, runner.code("function", (fit, {})))
    assert (int(fails), [[1]]) == (run.exit_code, pieces(storage)), run.log
