"""What comes out of a batch inference: every row once, in order, with what the model says of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from mltemporal import steps
from mltemporal.dataset.shards import opened_dataset, plan_shards
from mltemporal.preparation.checking import parse_steps
from mltemporal.preparation.fitting import fit
from mltemporal.runtime import inference
from mltemporal.specs.data import ModelRef


def test_kept_columns_and_predictions_stand_in_the_rows_order(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scored = scorer.score(fitted, frame, keep=("city", "id"))
    assert ["city", "id", "prediction"] == list(scored.columns)
    pd.testing.assert_frame_equal(frame[["city", "id"]], scored[["city", "id"]])
    np.testing.assert_allclose(frame["y"], scored["prediction"], atol=1e-9)


def test_the_manifest_tells_what_the_output_holds(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "in.parquet", row_group_size=20)
    scorer.score(fitted, str(tmp_path / "in.parquet"), keep=("id",), shards=3)
    manifest, scored = scorer.manifest(), scorer.result.scored
    assert (60, 3, str(scorer.output)) == (scored.rows, scored.parts, scored.uri)
    assert (scorer.key, 60, "LinearRegression") == (manifest["job"], manifest["rows"], manifest["model"])
    assert [f"part-0000{i}.parquet" for i in range(3)] == [part["name"] for part in manifest["parts"]]
    assert [20] * 3 == [part["rows"] for part in manifest["parts"]]
    sizes = [(scorer.output / part["name"]).stat().st_size for part in manifest["parts"]]
    assert sizes == [part["bytes"] for part in manifest["parts"]]
    assert [("id", "int64"), ("prediction", "double")] == [
        (c["name"], c["type"]) for c in manifest["columns"]
    ]


def test_probabilities_are_named_by_their_class(scorer: Any, frame: pd.DataFrame) -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(frame[["b"]], frame["city"])
    scored = scorer.score(scorer.model(model, ("b",), "city"), frame, probabilities=True)
    assert ["prediction", "probability_Oslo", "probability_Rome"] == list(scored.columns)
    np.testing.assert_allclose(model.predict_proba(frame[["b"]]), scored.iloc[:, 1:])
    assert list(model.predict(frame[["b"]])) == list(scored["prediction"])


def test_several_outputs_are_numbered(scorer: Any, frame: pd.DataFrame) -> None:
    model = LinearRegression().fit(frame[["a"]], frame[["y", "id"]])
    scored = scorer.score(scorer.model(model, ("a",), None), frame)
    assert ["prediction_0", "prediction_1"] == list(scored.columns)


def test_probabilities_of_several_outputs_are_numbered_too(scorer: Any, frame: pd.DataFrame) -> None:
    targets = frame[["city"]].assign(odd=frame["id"] % 2)
    model = DecisionTreeClassifier().fit(frame[["id"]], targets.astype(str))
    scored = scorer.score(scorer.model(model, ("id",), None), frame, probabilities=True)
    names = ["probability_0_Oslo", "probability_0_Rome", "probability_1_0", "probability_1_1"]
    assert ["prediction_0", "prediction_1", *names] == list(scored.columns)


def test_a_model_of_unknown_features_gets_all_columns_but_the_target(
    scorer: Any, frame: pd.DataFrame, by_hand: ModelRef
) -> None:
    scored = scorer.score(by_hand, frame)
    assert ["id a b city"] * 60 == list(scored["prediction_1"])
    assert list(frame["id"] * 3) == list(scored["prediction_0"].astype(int))


def test_rows_are_prepared_as_those_were_that_the_model_was_trained_on(
    scorer: Any, frame: pd.DataFrame, tmp_path: Path
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
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        frame[number::2].to_csv(tmp_path / "in" / f"{number}.csv", index=False)
    scored = scorer.score(fitted, str(tmp_path / "in"), keep=("id",))
    assert [*range(0, 60, 2), *range(1, 60, 2)] == list(scored["id"])
    np.testing.assert_allclose(scored["id"] * 3.0, scored["prediction"], atol=1e-9)


def test_a_csv_file_without_rows_leaves_no_part(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((frame[:0], frame)):
        rows.to_csv(tmp_path / "in" / f"{number}.csv", index=False)
    scored = scorer.score(fitted, str(tmp_path / "in"), keep=("id",))
    assert list(range(60)) == list(scored["id"])
    assert ["part-00001.parquet"] == sorted(path.name for path in scorer.output.glob("*.parquet"))


def test_categories_that_differ_from_file_to_file_are_kept(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((frame[:20], frame[21:22])):
        rows.astype({"city": "category"}).to_parquet(tmp_path / "in" / f"{number}.parquet", row_group_size=7)
    scored = scorer.score(fitted, str(tmp_path / "in"), keep=("city",))
    assert [*frame["city"][:20], "Oslo"] == list(scored["city"].astype(str))


def test_predictions_go_to_the_jobs_storage_where_no_output_is_named(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    job = scorer.ask(fitted, scorer.dataset(frame), output="")
    output = inference.run(job)
    assert f"{scorer.storage.url}/predictions/{scorer.key}" == output.scored.uri
    assert 60 == len(pd.read_parquet(output.scored.uri))


def test_scoring_again_changes_nothing(scorer: Any, frame: pd.DataFrame, fitted: ModelRef) -> None:
    scorer.score(fitted, frame)
    first, manifest = scorer.result, (scorer.output / "_manifest.json").stat().st_mtime_ns
    scorer.score(fitted, frame)
    assert (first.scored, manifest) == (
        scorer.result.scored,
        (scorer.output / "_manifest.json").stat().st_mtime_ns,
    )


def test_rows_are_reported(scorer: Any, frame: pd.DataFrame, fitted: ModelRef, told: Any) -> None:
    scorer.score(fitted, frame)
    lines = told()
    assert (60, 60) == [(line.step, line.total) for line in lines if line.event == "report"][-1]
    stages = [line.text for line in lines if line.event == "stage"]
    assert ["loading the dataset", "loading the model", "scoring", "completing the output"] == stages


def test_columns_that_the_model_does_not_know_are_a_note(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.score(fitted, frame, keep=("id",), reference=scorer.dataset(frame.drop(columns=["id", "city"])))
    said = "the dataset differs from the one trained on: columns that the model does not know: 'city'"
    assert said in scorer.result.notes
