"""Preprocessing and batch inference, from the call to the rows; killed in the middle, each row once."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import psutil
import pytest

import mltemporal
from mltemporal import stack, steps
from mltemporal.specs.data import ObjectRef
from mltemporal.storage.content import Storage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of 400 rows with an id, a hole and a class."""
    for number in range(3):
        ids = range(400 * number, 400 * (number + 1))
        table = pd.DataFrame({"id": ids, "x": [float(i % 97) for i in ids], "y": [i % 97 >= 50 for i in ids]})
        table.loc[7, "x"] = None
        table.to_parquet(tmp_path / f"{number}.parquet", row_group_size=100)
    return tmp_path


class Slow:
    """A model that takes its time, so that something can happen meanwhile."""

    feature_names_in_ = ("x",)

    def predict(self, table: Any) -> Any:
        import time

        time.sleep(0.3)
        return table["x"] * 2


def slowly(table: Any) -> Any:
    import time

    time.sleep(0.3)
    return table


def shard_process(world: Any, job: Any, until: Callable[..., Any]) -> psutil.Process:
    """One of the processes that work on the job's shards, as soon as there are some."""
    training = psutil.Process(world.training(job).pid)
    found: psutil.Process = until(training.children)[0]
    return found


def test_prepared_trained_and_scored_with_the_same_steps(world: Any, folder: Path, until: Any) -> None:
    mpl.use("agg")
    job = mltemporal.preprocess(
        str(folder),
        target="y",
        steps=[
            steps.split(test_size=0.25, by=["id"]),
            steps.fill_missing({"x": "mean"}),
            steps.derive(twice="x * 2"),
            steps.scale(["x"]),
            steps.drop(["id"]),
        ],
        expectations={"x": {"null_share": 0}},
        name="sheep",
    )
    made = job.result(90)
    assert {"rows_in": 1200.0, "rows_out": 1200.0} == {n: made.metrics[n] for n in ("rows_in", "rows_out")}
    assert 1200 == made.train.rows + made.test.rows
    assert ["x", "y", "twice"] == list(made.train.schema)
    assert ("sheep-train", 0.0) == (made.train.name, round(made.train.frame()["x"].mean(), 9))
    assert 1200 == made.train.profile.rows + made.test.profile.rows
    assert made.train.name in repr(mltemporal.datasets()["sheep-train"])
    assert made.train.lineage().axes

    trained = mltemporal.train("sheep-train", target="y")  # by its name
    assert trained.result(90).metrics["accuracy"] > 0.95

    raw = trained.predict(str(folder), keep=["id", "y"]).result(90)
    frame = raw.frame()
    assert list(range(1200)) == list(frame["id"])
    assert (frame["prediction"] == frame["y"]).mean() > 0.95
    assert 1200 == raw.rows
    ready = trained.predict(made.test).result(90)  # made by the same steps: they are not applied again
    assert made.test.rows == ready.rows


def test_a_killed_shard_process_and_a_killed_worker_cost_no_row(
    world: Any, folder: Path, until: Callable[..., Any]
) -> None:
    job = mltemporal.preprocess(str(folder), steps=[slowly], shards=12, workers=2, name="killed")
    shard_process(world, job, until).kill()
    before = stack.state(world.settings).worker_pid
    os.kill(before, signal.SIGKILL)
    made = job.result(90)
    assert 1 == made.attempts
    assert list(range(1200)) == list(made.dataset.frame()["id"])

    scoring = mltemporal.predict(Slow(), made.dataset, keep=["id"], shards=12, workers=2, drift=False)
    shard_process(world, scoring, until).kill()
    result = scoring.result(90)
    assert (1, 1200) == (result.attempts, result.rows)
    assert list(range(1200)) == list(result.frame()["id"])


def test_a_killed_job_goes_on_at_the_shard(world: Any, folder: Path, until: Callable[..., Any]) -> None:
    scoring = mltemporal.predict(Slow(), str(folder), keep=["id"], shards=12, workers=2, drift=False)
    until(lambda: scoring.progress is not None and scoring.progress.step)
    os.killpg(world.training(scoring).pid, signal.SIGKILL)
    result = scoring.result(90)
    assert (2, 1200) == (result.attempts, result.rows)
    assert list(range(1200)) == list(result.frame()["id"])
    notes = [event.message for event in world.database.jobs.events(scoring.id) if event.kind == "note"]
    assert any(note.startswith("resumed: ") for note in notes)


class Counted:
    """A step that leaves a file for each table, named by its rows: work that is done again is seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __call__(self, table: Any) -> Any:
        import tempfile

        tempfile.mkstemp(prefix=f"{len(table)}-", dir=self.folder)
        return table


class CountedModel:
    """A model that leaves a file for each time it is asked."""

    feature_names_in_ = ("x",)

    def __init__(self, folder: Path) -> None:
        self.counted = Counted(folder)

    def predict(self, table: Any) -> Any:
        return self.counted(table)["x"] * 2


def test_a_rewound_preprocessing_does_what_comes_after_the_stage_again_and_each_row_is_there_once(
    world: Any, folder: Path, tmp_path_factory: Any
) -> None:
    calls = tmp_path_factory.mktemp("calls")
    mean = steps.fill_missing({"x": "mean"})
    job = mltemporal.preprocess(
        str(folder), steps=[mean, Counted(calls)], shards=6, workers=1, name="rewound", force=True
    )
    first = job.result(90)

    def done() -> int:
        return len(list(calls.glob("200-*")))

    whole = done()  # also looked at for fitting

    def fitted() -> list[str]:
        key, storage = world.database.jobs.get(job.id).key, Storage(world.settings.storage_url)
        names = ("fitted", "fitted.1", "fitted.2")
        return [name for name in names if storage.get_note(key, name, ObjectRef) is not None]

    assert ["fitted"] == fitted()
    with pytest.raises(mltemporal.InvalidRequest, match="there are: 'validated', 'fitted'"):
        job.rewind(to=3)
    again = job.rewind(to="fitted").result(90)
    assert list(range(1200)) == sorted(again.dataset.frame()["id"])
    assert whole + 6 == done(), "each of the six shards was done again, and nothing was fitted"
    assert ["fitted"] == fitted(), "the steps are those that were fitted before"
    anew = job.rewind(to="validated").result(90)
    assert ["fitted", "fitted.1"] == sorted(fitted())
    assert [1, 2, 3] == [made.attempts for made in (first, again, anew)]
    assert 2 * whole + 6 == done(), "all was done anew"
    assert first.metrics == again.metrics == anew.metrics
    assert list(range(1200)) == sorted(anew.dataset.frame()["id"])


def test_a_rewound_inference_scores_every_row_again_and_each_is_there_once(
    world: Any, folder: Path, tmp_path_factory: Any
) -> None:
    calls = tmp_path_factory.mktemp("calls")
    job = mltemporal.predict(
        CountedModel(calls), str(folder), keep=["id"], shards=6, workers=1, drift=False, name="rewound"
    )
    first = job.result(90)
    assert 6 == len(list(calls.glob("200-*")))
    with pytest.raises(mltemporal.InvalidRequest, match="there are: 'validated'"):
        job.rewind(to="fitted")
    again = job.rewind(to="validated").result(90)
    assert 12 == len(list(calls.glob("200-*")))
    assert [(1, 1200), (2, 1200)] == [(made.attempts, made.rows) for made in (first, again)]
    assert list(range(1200)) == list(again.frame()["id"])
    assert first.frame().equals(again.frame())


def test_the_same_call_attaches_and_cancelling_leaves_no_process(
    world: Any, folder: Path, until: Callable[..., Any], tmp_path_factory: Any
) -> None:
    place = tmp_path_factory.mktemp("made")
    call: dict[str, Any] = {"steps": [slowly], "shards": 12, "workers": 1, "output": place}
    job = mltemporal.preprocess(str(folder), **call)
    assert job.id == mltemporal.preprocess(str(folder), **call).id
    until(lambda: job.progress is not None)
    training = world.training(job)
    job.cancel()
    with pytest.raises(mltemporal.JobCancelled):
        job.result(60)
    assert not training.alive


def test_a_profile_alone_copies_nothing_and_keeps_the_name(world: Any, folder: Path) -> None:
    looked = mltemporal.preprocess(str(folder), name="seen", expectations={"y": {"null_share": 0}})
    first = looked.result(60)
    assert str(folder) == first.dataset.uri
    again = mltemporal.preprocess("seen").result(60).dataset
    assert ("seen", first.dataset.id) == (again.name, again.id)
    assert first.dataset.expectations == again.expectations


def test_an_output_never_replaces_what_is_read(world: Any, folder: Path, tmp_path_factory: Any) -> None:
    place = tmp_path_factory.mktemp("made") / "out"
    made = mltemporal.preprocess(str(folder), steps=["drop_duplicates"], output=place).result(60).dataset
    for output in (place, place.parent, place / "deeper"):
        with pytest.raises(mltemporal.InvalidRequest, match="output"):
            mltemporal.preprocess(made, steps=["drop_missing"], output=output, overwrite=True)
    assert 1200 == len(made.frame())


def test_an_output_that_a_job_still_writes_to_is_not_taken_over(
    world: Any, folder: Path, until: Any, tmp_path_factory: Any
) -> None:
    place = tmp_path_factory.mktemp("shared")
    call: dict[str, Any] = {"output": place, "overwrite": True, "shards": 12, "workers": 1}
    job = mltemporal.preprocess(str(folder), steps=[slowly], **call)
    until((place / "_job.json").exists)
    with pytest.raises(mltemporal.InvalidRequest, match=f"job {job.id} still writes"):
        mltemporal.preprocess(str(folder), steps=[slowly, "drop_missing"], **call)
    job.cancel()
    assert job.wait(60)


def test_a_training_on_data_that_is_not_as_expected_is_refused(world: Any, folder: Path) -> None:
    job = mltemporal.train(str(folder), target="y", expectations={"x": {"max": 50}})
    with pytest.raises(mltemporal.JobFailed, match=r"'x': .* above 50"):
        job.result(60)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: mltemporal.preprocess(f, steps=["drop_mising"]), "did you mean 'drop_missing'"),
        (lambda f: mltemporal.preprocess(f, steps=[steps.filter("x >")]), "does not parse"),
        (
            lambda f: mltemporal.preprocess(f, steps=[steps.filter("x IN (SELECT * FROM '/etc/passwd')")]),
            "SELECT",
        ),
        (
            lambda f: mltemporal.preprocess(f, steps=[steps.scale(["x"]), steps.split(test_size=0.2)]),
            "split",
        ),
        (lambda f: mltemporal.preprocess(f, steps=["drop_missing"], output=f), "holds the dataset"),
        (lambda f: mltemporal.preprocess(f, expectations={"z": {"min": 0}}), "'z'"),
        (lambda f: mltemporal.predict(Slow(), f, keep=["idd"]), "did you mean 'id'"),
        (lambda f: mltemporal.predict(Slow(), pd.DataFrame({"a": [1, 2]})), "'x'"),
        (lambda f: mltemporal.predict(Slow(), f, keep=["id"], output=f), "output"),
        (lambda f: mltemporal.predict(object(), f), "no model"),
        (lambda f: mltemporal.predict(10_000, f), "no job 10000"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    world: Any, folder: Path, call: Callable[[str], Any], said: str
) -> None:
    def refused() -> None:
        with pytest.raises(mltemporal.MLTemporalError) as caught:
            call(str(folder))
        assert said in str(caught.value)

    assert {} == world.left_by(refused)
