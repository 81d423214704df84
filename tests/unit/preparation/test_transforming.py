from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.preprocessing import StandardScaler

from mltemporal import steps
from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.preparation.transforming import transform


def frame(count: int = 100) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": range(count),
            "age": random.integers(0, 90, count),
            "weight": random.normal(70, 10, count),
            "city": random.choice(["Bonn", "Köln", None], count),
            "label": random.choice(["no", "yes"], count),
        }
    )
    frame.loc[::5, "weight"] = np.nan
    return frame


PLAN: list[Any] = [
    "drop_duplicates",
    steps.filter("age > 18"),
    steps.drop_missing("city"),
    steps.split(stratify="label"),
    steps.rename(label="answer"),
    steps.cast({"age": "float32", "answer": "string"}),
    steps.fill_missing({"weight": "median"}),
    steps.derive(hint="answer = 'yes'", heavy="weight > 70"),
    lambda part: part.assign(double=part.weight * 2),
    steps.encode("city"),
    steps.transform(StandardScaler(), columns=["weight", "age"]),
]


@pytest.fixture(scope="module")
def made(prepare_once: Any) -> Any:
    return prepare_once(frame(), PLAN, target="answer")


def test_rows_become_what_the_training_rows_became(made: Any) -> None:
    rows = transform(made.fitted, pa.Table.from_pandas(frame())).to_pandas().set_index("id")
    for part in ("train", "test"):
        written = made.frame(part).set_index("id")
        pd.testing.assert_frame_equal(written, rows.loc[written.index][list(written)], check_dtype=False)


def test_every_row_is_kept_also_one_like_no_other(made: Any) -> None:
    strange = pd.DataFrame(
        {"id": [1, 1, 2], "age": [3, 3, 50], "weight": [None, None, 80.0], "city": [None, None, "Rome"]}
    ).assign(label="no")
    rows = transform(made.fitted, pa.RecordBatch.from_pandas(strange)).to_pandas()
    assert [1, 1, 2] == rows.id.tolist()
    assert [0, 0, 0] == rows.city_Bonn.tolist() == rows.city_Köln.tolist()


def test_rows_to_predict_have_no_target(prepare: Any) -> None:
    plan = [step for step in PLAN if not callable(step)]
    fitted = prepare(frame(), plan, target="answer").fitted
    rows = transform(fitted, pa.Table.from_pandas(frame().drop(columns=["label"]))).to_pandas()
    assert ["id", "city_Bonn", "city_Köln", "heavy", "weight", "age"] == list(rows)
    with_target = transform(fitted, pa.Table.from_pandas(frame())).to_pandas()
    pd.testing.assert_frame_equal(rows, with_target[list(rows)])


def test_columns_that_no_step_needs_may_be_missing_and_more_may_be_there(prepare: Any) -> None:
    fitted = prepare(frame(), [steps.drop("id"), steps.scale("age")], target="label").fitted
    rows = transform(fitted, pa.table({"extra": [1], "age": [1.0], "weight": [2.0], "city": ["x"]}))
    assert ["age", "weight", "city"] == rows.column_names


def test_a_column_that_a_step_needs_is_missed(prepare: Any) -> None:
    fitted = prepare(frame(), [steps.derive(bmi="weight / age")], target="label").fitted
    with pytest.raises(InvalidDataset, match=r"needs 'weight', which the rows to predict lack"):
        transform(fitted, pa.table({"age": [1]}))


def test_a_type_that_does_not_fit_is_named(prepare: Any) -> None:
    fitted = prepare(frame(), [steps.scale("age")]).fitted
    with pytest.raises(InvalidDataset, match="has 'age' as string, which does not fit int64"):
        transform(fitted, pa.table({"age": ["x"], "weight": [1.0], "city": ["x"], "label": ["no"]}))


def test_a_function_that_drops_rows_cannot_serve_predictions(prepare: Any) -> None:
    fitted = prepare(frame(), [lambda part: part[part.age > 18]]).fitted
    with pytest.raises(InvalidRequest, match="rows of 100 to predict"):
        transform(fitted, pa.Table.from_pandas(frame()))


def test_a_function_that_changes_the_order_of_rows_cannot_serve_predictions(prepare: Any) -> None:
    fitted = prepare(frame(), [lambda part: part.sort_values("weight")]).fitted
    with pytest.raises(InvalidRequest, match="changed the order of the rows to predict"):
        transform(fitted, pa.Table.from_pandas(frame()))


def test_a_missing_value_stays_missing_where_nothing_fills_it(prepare: Any) -> None:
    plan = [steps.scale("weight"), steps.encode("city", "ordinal")]
    fitted = prepare(frame(), plan).fitted
    rows = transform(
        fitted, pa.table({"id": [1], "age": [1], "weight": [None], "city": [None], "label": ["no"]})
    )
    assert [None] == rows.column("weight").to_pylist()
    assert [None] == rows.column("city").to_pylist()


def test_no_rows_give_no_rows_with_the_same_columns(made: Any) -> None:
    rows = transform(made.fitted, pa.Table.from_pandas(frame()).slice(0, 0))
    assert 0 == rows.num_rows
    assert transform(made.fitted, pa.Table.from_pandas(frame())).schema == rows.schema


def test_the_row_lists_of_the_preparation_are_not_needed(prepare: Any) -> None:
    plan = ["drop_duplicates", steps.split(stratify="label"), steps.scale("age")]
    made = prepare(frame(), plan)
    for state in made.fitted.states.values():
        if state.object is not None and not state.schema:
            made.fitted.storage.discard(state.object)
    assert 100 == transform(made.fitted, pa.Table.from_pandas(frame())).num_rows
