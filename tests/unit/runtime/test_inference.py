"""Batch inference: every row once and in order, whatever is killed, and refusals that name what is wrong."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from mltemporal import steps
from mltemporal.dataset import inspect
from mltemporal.dataset.shards import opened_dataset, plan_shards
from mltemporal.errors import InvalidDataset, InvalidRequest, InvalidTrainer
from mltemporal.model_files import save_model
from mltemporal.preparation import fit, parse_steps
from mltemporal.profiling.drift import Drift
from mltemporal.progress import Line, parse_line
from mltemporal.runtime import context, inference
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.runtime.failure import users_traceback
from mltemporal.specs import (
    DatasetRef,
    InferenceSpec,
    JobSpec,
    ModelRef,
    Resources,
    RunOutput,
    TrainerRef,
    decode,
)
from mltemporal.storage import Storage

KEY = "score-1"


@dataclass
class Scorer:
    """Asks for batch inferences and runs them in this process."""

    storage: Storage
    folder: Path
    cpu: float | None = None

    @property
    def output(self) -> Path:
        return self.folder / "scores"

    def model(self, model: Any, features: tuple[str, ...] = (), target: str | None = "y") -> ModelRef:
        return save_model(
            model, self.storage, label=type(model).__name__, task=None, target=target, features=features
        )

    def dataset(self, source: object) -> DatasetRef:
        return inspect(source, needs_features=False).store(self.storage)

    def ask(self, model: ModelRef, dataset: DatasetRef, **options: Any) -> Job:
        spec = JobSpec(
            key=KEY,
            name="scores",
            kind="inference",
            dataset=dataset,
            trainer=TrainerRef(kind="model", label=model.label),
            resources=Resources(cpu=self.cpu),
            inference=InferenceSpec(model=model, **{"output": str(self.output), **options}),
        )
        self.storage.put_note(KEY, "spec", spec)
        return Job(self.storage, KEY, 1)

    def score(self, model: ModelRef, source: object, **options: Any) -> pd.DataFrame:
        job = self.ask(model, self.dataset(source), **options)
        context.enter(job)
        self.result = inference.run(job)
        return self.scores()

    def scores(self) -> pd.DataFrame:
        parts = [pd.read_parquet(part) for part in sorted(self.output.glob("part-*.parquet"))]
        return pd.concat(parts, ignore_index=True)

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.output / "_manifest.json").read_text())
        return manifest


@pytest.fixture
def scorer(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scorer:
    monkeypatch.setenv(JOB_VARIABLE, "")
    return Scorer(storage, tmp_path)


@pytest.fixture
def frame() -> pd.DataFrame:
    n = np.arange(60)
    return pd.DataFrame(
        {"id": n, "a": n / 2, "b": n % 7, "city": np.where(n % 2, "Oslo", "Rome"), "y": n * 3.0}
    )


@pytest.fixture
def fitted(scorer: Scorer, frame: pd.DataFrame) -> ModelRef:
    """Predicts ``y`` of ``frame`` exactly."""
    return scorer.model(LinearRegression().fit(frame[["a", "b"]], frame["y"]), ("a", "b"))


MODEL = """
import os, pathlib, signal, time
import pandas as pd

FOLDER = pathlib.Path(os.environ["MODEL_FOLDER"])

class ByHand:
    def predict(self, rows):
        first = rows["id"].min()
        (FOLDER / f"at-{first}").touch()
        if (FOLDER / f"die-at-{first}").exists():
            (FOLDER / f"die-at-{first}").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        while (FOLDER / f"wait-at-{first}").exists():
            time.sleep(0.01)
        if (FOLDER / f"fail-at-{first}").exists():
            raise ValueError(f"row {first} is odd")
        if "short" in rows:
            return [0]
        return pd.DataFrame({0: rows["id"].astype(str).map(lambda n: str(int(n) * 3)), 1: " ".join(rows)})
"""


@pytest.fixture
def by_hand(scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    """Predicts three times ``id`` and which columns it saw; may be told to wait, fail or die at a row."""
    (tmp_path / "model_by_hand.py").write_text(MODEL)
    monkeypatch.setenv("MODEL_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "model_by_hand", raising=False)
    model = importlib.import_module("model_by_hand").ByHand()
    return scorer.model(model)


def refusal(call: Callable[[], object], kind: type[Exception] = InvalidDataset) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# What comes out


def test_kept_columns_and_predictions_stand_in_the_rows_order(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scored = scorer.score(fitted, frame, keep=("city", "id"))
    assert ["city", "id", "prediction"] == list(scored.columns)
    pd.testing.assert_frame_equal(frame[["city", "id"]], scored[["city", "id"]])
    np.testing.assert_allclose(frame["y"], scored["prediction"], atol=1e-9)


def test_the_manifest_tells_what_the_output_holds(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "in.parquet", row_group_size=20)
    scorer.score(fitted, str(tmp_path / "in.parquet"), keep=("id",), shards=3)
    manifest, scored = scorer.manifest(), scorer.result.scored
    assert (60, 3, str(scorer.output)) == (scored.rows, scored.parts, scored.uri)
    assert (KEY, 60, "LinearRegression") == (manifest["job"], manifest["rows"], manifest["model"])
    assert [f"part-0000{i}.parquet" for i in range(3)] == [part["name"] for part in manifest["parts"]]
    assert [20] * 3 == [part["rows"] for part in manifest["parts"]]
    sizes = [(scorer.output / part["name"]).stat().st_size for part in manifest["parts"]]
    assert sizes == [part["bytes"] for part in manifest["parts"]]
    assert [("id", "int64"), ("prediction", "double")] == [
        (c["name"], c["type"]) for c in manifest["columns"]
    ]


def test_probabilities_are_named_by_their_class(scorer: Scorer, frame: pd.DataFrame) -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(frame[["b"]], frame["city"])
    scored = scorer.score(scorer.model(model, ("b",), "city"), frame, probabilities=True)
    assert ["prediction", "probability_Oslo", "probability_Rome"] == list(scored.columns)
    np.testing.assert_allclose(model.predict_proba(frame[["b"]]), scored.iloc[:, 1:])
    assert list(model.predict(frame[["b"]])) == list(scored["prediction"])


def test_several_outputs_are_numbered(scorer: Scorer, frame: pd.DataFrame) -> None:
    model = LinearRegression().fit(frame[["a"]], frame[["y", "id"]])
    scored = scorer.score(scorer.model(model, ("a",), None), frame)
    assert ["prediction_0", "prediction_1"] == list(scored.columns)


def test_probabilities_of_several_outputs_are_numbered_too(scorer: Scorer, frame: pd.DataFrame) -> None:
    targets = frame[["city"]].assign(odd=frame["id"] % 2)
    model = DecisionTreeClassifier().fit(frame[["id"]], targets.astype(str))
    scored = scorer.score(scorer.model(model, ("id",), None), frame, probabilities=True)
    names = ["probability_0_Oslo", "probability_0_Rome", "probability_1_0", "probability_1_1"]
    assert ["prediction_0", "prediction_1", *names] == list(scored.columns)


def test_a_model_of_unknown_features_gets_all_columns_but_the_target(
    scorer: Scorer, frame: pd.DataFrame, by_hand: ModelRef
) -> None:
    scored = scorer.score(by_hand, frame)
    assert ["id a b city"] * 60 == list(scored["prediction_1"])
    assert list(frame["id"] * 3) == list(scored["prediction_0"].astype(int))


def test_rows_are_prepared_as_those_were_that_the_model_was_trained_on(
    scorer: Scorer, frame: pd.DataFrame, tmp_path: Path
) -> None:
    dataset = scorer.dataset(frame)
    wanted = [steps.filter("id < 10"), steps.derive(twice="a * 2"), steps.drop(["a", "city"])]
    plan = parse_steps(wanted, columns=dataset.columns, target="y")
    with opened_dataset(dataset, scorer.storage) as files:
        fitted = fit(plan, files, plan_shards(files), scratch=str(tmp_path)).store(scorer.storage)
    model = LinearRegression().fit(frame[["a"]].rename(columns={"a": "twice"}) * 2, frame["y"])
    scored = scorer.score(
        scorer.model(model, ("twice",)), frame.drop(columns=["y"]), pipeline=fitted, keep=("city",)
    )
    assert list(frame["city"]) == list(scored["city"])
    np.testing.assert_allclose(frame["y"], scored["prediction"], atol=1e-9)


def test_csv_files_are_scored_with_the_types_of_all_their_rows(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        frame[number::2].to_csv(tmp_path / "in" / f"{number}.csv", index=False)
    scored = scorer.score(fitted, str(tmp_path / "in"), keep=("id",))
    assert [*range(0, 60, 2), *range(1, 60, 2)] == list(scored["id"])
    np.testing.assert_allclose(scored["id"] * 3.0, scored["prediction"], atol=1e-9)


def test_categories_that_differ_from_file_to_file_are_kept(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((frame[:20], frame[21:22])):
        rows.astype({"city": "category"}).to_parquet(tmp_path / "in" / f"{number}.parquet", row_group_size=7)
    scored = scorer.score(fitted, str(tmp_path / "in"), keep=("city",))
    assert [*frame["city"][:20], "Oslo"] == list(scored["city"].astype(str))


def test_predictions_go_to_the_jobs_storage_where_no_output_is_named(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    job = scorer.ask(fitted, scorer.dataset(frame), output="")
    output = inference.run(job)
    assert f"{scorer.storage.url}/predictions/{KEY}" == output.scored.uri
    assert 60 == len(pd.read_parquet(output.scored.uri))


def test_scoring_again_changes_nothing(scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef) -> None:
    scorer.score(fitted, frame)
    first, manifest = scorer.result, (scorer.output / "_manifest.json").stat().st_mtime_ns
    scorer.score(fitted, frame)
    assert (first.scored, manifest) == (
        scorer.result.scored,
        (scorer.output / "_manifest.json").stat().st_mtime_ns,
    )


def test_rows_are_reported(scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef, told: Any) -> None:
    scorer.score(fitted, frame)
    lines = told()
    assert (60, 60) == [(line.step, line.total) for line in lines if line.event == "report"][-1]
    stages = [line.text for line in lines if line.event == "stage"]
    assert ["loading the dataset", "loading the model", "scoring", "completing the output"] == stages


def test_columns_that_the_model_does_not_know_are_a_note(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.score(fitted, frame, keep=("id",), reference=scorer.dataset(frame.drop(columns=["id", "city"])))
    said = "the dataset differs from the one trained on: columns that the model does not know: 'city'"
    assert said in scorer.result.notes


# Drift


@pytest.fixture
def many(frame: pd.DataFrame) -> pd.DataFrame:
    """Enough rows for a statistic to say something."""
    random = np.random.default_rng(0)
    return frame.sample(600, replace=True, random_state=0, ignore_index=True).assign(
        a=random.normal(size=600)
    )


def test_columns_that_moved_away_from_the_training_data_are_named(
    scorer: Scorer, many: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    many.assign(a=many["a"] + 3).to_parquet(tmp_path / "in.parquet", row_group_size=100)
    scorer.score(fitted, str(tmp_path / "in.parquet"), reference=scorer.dataset(many), shards=6)
    scored = scorer.result.scored
    assert {"a", "prediction"} == set(scored.drifted)
    drift = decode(scorer.storage.get_bytes(scored.drift), Drift)
    assert (600, 600, {"a", "b", "prediction"}) == (
        drift.rows_before,
        drift.rows_after,
        {column.name for column in drift.columns},
    )
    assert "2 columns moved away from the training data: 'a', 'prediction'" in scorer.result.notes


def test_rows_like_the_training_data_have_not_moved(
    scorer: Scorer, many: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.score(fitted, many[::2], reference=scorer.dataset(many[1::2]))
    assert () == scorer.result.scored.drifted
    assert scorer.result.scored.drift is not None


def test_a_comparison_that_fails_is_a_note_and_no_failure(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "trained.parquet")
    reference = scorer.dataset(str(tmp_path / "trained.parquet"))
    (tmp_path / "trained.parquet").unlink()
    assert 60 == len(scorer.score(fitted, frame, keep=("id",), reference=reference))
    assert scorer.result.scored.drift is None
    assert "drift was not looked at: InvalidDataset" in scorer.result.notes[-1]


# What is refused


def test_a_dataset_that_does_not_fit_the_model_is_refused_before_anything_is_written(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    reference = scorer.dataset(frame)
    other = frame.rename(columns={"a": "A"}).assign(b="x")
    said = refusal(lambda: scorer.score(fitted, other, reference=reference))
    assert "it lacks 'a'; 'b' is text" in said
    assert "rename 'A' to 'a'" in said
    assert not scorer.output.exists()


def test_a_column_to_keep_must_exist_and_must_not_hide_a_prediction(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    assert "no column of the dataset: 'name'" in refusal(lambda: scorer.score(fitted, frame, keep=("name",)))
    named = frame.rename(columns={"id": "prediction"})
    said = refusal(lambda: scorer.score(fitted, named, keep=("prediction",)), InvalidRequest)
    assert "'prediction', which predictions are written to" in said


def test_an_output_that_exists_is_refused_and_overwritten_where_that_is_asked(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.output.mkdir()
    (scorer.output / "_job.json").write_text('{"job": "another"}')
    (scorer.output / "part-00007.parquet").write_bytes(b"old")
    assert "exists already" in refusal(lambda: scorer.score(fitted, frame), InvalidRequest)
    assert 60 == len(scorer.score(fitted, frame, overwrite=True))


def test_probabilities_of_a_model_without_them_are_refused(
    scorer: Scorer, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    said = refusal(lambda: scorer.score(fitted, frame, probabilities=True), InvalidRequest)
    assert "a LinearRegression gives no probabilities" in said


def test_an_answer_of_another_length_is_refused(
    scorer: Scorer, frame: pd.DataFrame, by_hand: ModelRef
) -> None:
    said = refusal(lambda: scorer.score(by_hand, frame.assign(short=1)), InvalidTrainer)
    assert "answer to 60 rows has the shape (1,)" in said


# Kills


@dataclass
class Attempts:
    """Runs attempts at a batch inference as real processes, each shard in one of two others."""

    scorer: Scorer
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, attempt: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mltemporal.runtime", self.scorer.storage.url, KEY, str(attempt)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def until(self, seen: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not seen():
            assert self.process is not None
            assert self.process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=60)

    def end(self) -> tuple[int, list[Line]]:
        assert self.process is not None
        output, _ = self.process.communicate(timeout=60)
        lines = [line for part in output.decode().splitlines() if (line := parse_line(part))]
        return self.process.returncode, lines


@pytest.fixture
def asked(scorer: Scorer, frame: pd.DataFrame, by_hand: ModelRef, tmp_path: Path) -> Callable[..., None]:
    """Ask for a dataset of six shards, to be scored by a model that may be told to wait or to die."""

    def ask(cpu: int | None = None) -> None:
        frame.to_parquet(tmp_path / "in.parquet", row_group_size=10)
        scorer.cpu = cpu
        scorer.ask(by_hand, scorer.dataset(str(tmp_path / "in.parquet")), keep=("id",), shards=6)

    return ask


@pytest.fixture
def attempts(scorer: Scorer, asked: Callable[..., None]) -> Iterator[Attempts]:
    asked(cpu=2)
    attempts = Attempts(scorer)
    yield attempts
    if attempts.process is not None and attempts.process.poll() is None:
        attempts.kill()


def assert_complete(scorer: Scorer, frame: pd.DataFrame) -> None:
    scores = scorer.scores()
    assert list(frame["id"]) == list(scores["id"])
    assert list(frame["id"] * 3) == list(scores["prediction_0"].astype(int))
    names = {path.name for path in scorer.output.iterdir()}
    assert {*(f"part-0000{i}.parquet" for i in range(6)), "_job.json", "_manifest.json"} == names
    assert (60, 6) == (scorer.manifest()["rows"], len(scorer.manifest()["parts"]))


def test_a_killed_shard_process_costs_its_shard_only(
    attempts: Attempts, scorer: Scorer, frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "die-at-30").touch()
    attempts.start(1)
    code, lines = attempts.end()
    output = scorer.storage.get_note(KEY, "1/output", RunOutput)
    assert 0 == code
    assert_complete(scorer, frame)
    assert ["shard 3 (rows 30 to 40 of the dataset)"] == [
        line.text.partition("worked on ")[2].partition(" ended")[0] for line in lines if line.event == "note"
    ]
    assert 60 == output.scored.rows


def test_an_attempt_goes_on_where_a_killed_one_ended(
    attempts: Attempts, scorer: Scorer, frame: pd.DataFrame, tmp_path: Path
) -> None:
    for row in (20, 30):
        (tmp_path / f"wait-at-{row}").touch()
    attempts.start(1)
    attempts.until(lambda: (tmp_path / "at-20").exists() and (tmp_path / "at-30").exists())
    attempts.kill()
    before = {path: path.stat().st_mtime_ns for path in scorer.output.glob("part-*")}
    assert ["part-00000.parquet", "part-00001.parquet"] == sorted(path.name for path in before)
    for row in (20, 30):
        (tmp_path / f"wait-at-{row}").unlink()
    attempts.start(2)
    code, lines = attempts.end()
    assert 0 == code
    assert_complete(scorer, frame)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "resumed: 2 of 6 shards were done already" in [line.text for line in lines]


def test_a_part_without_a_note_is_written_again(
    asked: Callable[..., None], scorer: Scorer, frame: pd.DataFrame
) -> None:
    asked()
    inference.run(Job(scorer.storage, KEY, 1))
    (Path(scorer.storage.url) / "jobs" / KEY / "shards" / "0000002.json").unlink()
    (scorer.output / "_manifest.json").unlink()
    (scorer.output / "part-00002.parquet").write_bytes(b"half")
    inference.run(Job(scorer.storage, KEY, 2))
    assert_complete(scorer, frame)


def test_an_error_of_the_model_is_told_by_the_users_own_frames(
    asked: Callable[..., None], scorer: Scorer, tmp_path: Path
) -> None:
    asked()
    (tmp_path / "fail-at-0").touch()
    with pytest.raises(ValueError, match="row 0 is odd") as caught:
        inference.run(Job(scorer.storage, KEY, 1))
    told = users_traceback(caught.value)
    assert "in predict\n" in told
    assert "mltemporal/runtime" not in told
    assert not (scorer.output / "_manifest.json").exists()
