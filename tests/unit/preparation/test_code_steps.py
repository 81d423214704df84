from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mltemporal import steps
from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.preparation import fitting, sampling
from mltemporal.preparation.checking import parse_steps
from mltemporal.specs.data import Column


def frame(count: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": range(count),
            "a": random.normal(size=count),
            "b": random.normal(5, 2, size=count),
            "kind": random.choice(["x", "y"], count),
            "label": random.integers(0, 2, count),
        }
    )


def test_a_function_sees_frames_and_its_frames_go_on(prepare: Any) -> None:
    factor = 3

    def triple(part: pd.DataFrame) -> pd.DataFrame:
        part = part[part.a > 0]
        return part.assign(c=part.a * factor, when=pd.Timestamp("2020-01-01")).drop(columns="b")

    made = prepare(
        frame(), [steps.filter("kind = 'x'"), triple, steps.derive(d="c / 3"), steps.split(by="id")]
    )
    both = pd.concat([made.frame("train"), made.frame("test")]).sort_values("id")
    wanted = frame().query("kind == 'x' and a > 0")
    assert ["id", "a", "kind", "label", "c", "when", "d"] == list(both)
    assert wanted.id.tolist() == both.id.tolist()
    assert wanted.a.to_numpy() == pytest.approx(both.d.to_numpy())


def test_a_function_sees_the_rows_of_one_part_at_a_time(prepare: Any) -> None:
    made = prepare(frame(), [steps.split(group="kind"), lambda part: part.assign(kinds=part.kind.nunique())])
    assert {1} == {*made.frame("train").kinds, *made.frame("test").kinds}


def test_a_column_that_a_function_makes_keeps_one_type(prepare: Any) -> None:
    made = prepare(
        frame(),
        [lambda part: part.assign(c=[None if i % 2 else i for i in part.id], d=None)],
        rows=30,
        shards=4,
    )
    assert pa.float64() == made.parts["dataset"].schema.field("c").type
    assert 60 == made.parts["dataset"].column("c").null_count


@pytest.mark.parametrize(
    ("function", "kind", "part"),
    [
        (lambda part: part.a, InvalidRequest, "returned Series instead of a DataFrame"),
        (
            lambda part: part if part.id.min() < 60 else part.drop(columns="a"),
            InvalidRequest,
            "differ in 'a'",
        ),
        (
            lambda part: part.assign(c=part.id if part.id.min() < 60 else "x"),
            InvalidDataset,
            "of different types",
        ),
        (lambda part: part.assign(c=[1, "x"] * (len(part) // 2)), InvalidDataset, "a column of mixed types"),
        (lambda part: part[part.id < 0].assign(A=1), InvalidRequest, "SQL ignores capitals"),
    ],
)
def test_what_a_function_does_wrong_is_told(prepare: Any, function: Any, kind: Any, part: str) -> None:
    with pytest.raises(kind, match=part):
        prepare(frame(), [function], rows=60, shards=2)


def test_a_type_that_a_function_returns_late_is_told(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_TRIED_BATCHES", 1)
    with pytest.raises(InvalidDataset, match="'c' as"):
        prepare(
            frame(), [lambda part: part.assign(c=part.id if part.id.min() < 60 else "x")], rows=60, shards=2
        )


def test_what_a_function_raises_is_its_own(prepare: Any) -> None:
    def fail(part: pd.DataFrame) -> pd.DataFrame:
        raise KeyError("the user's own")

    with pytest.raises(KeyError, match="the user's own"):
        prepare(frame(), [fail])


def test_an_expression_over_a_functions_columns_is_checked_when_they_are_known(prepare: Any) -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'added'"):
        prepare(frame(), [lambda part: part.assign(added=1), steps.filter("aded = 1")])


def test_a_transformer_is_fitted_on_the_training_part_only(prepare: Any) -> None:
    made = prepare(
        frame(), [steps.split(by="id"), steps.transform(StandardScaler(), columns=["a", "b"])], rows=20
    )
    train = frame()[frame().id.isin(made.frame("train").id)]
    scaler = StandardScaler().fit(train[["a", "b"]])
    assert ["id", "kind", "label", "a", "b"] == list(made.frame("train"))
    for part in ("train", "test"):
        rows = frame()[frame().id.isin(made.frame(part).id)][["a", "b"]]
        assert made.frame(part)[["a", "b"]].to_numpy() == pytest.approx(scaler.transform(rows))


def test_a_bare_transformer_takes_all_but_the_target(prepare: Any) -> None:
    made = prepare(frame(), [steps.drop(["kind"]), PCA(2)], target="label").frame()
    assert ["label", "pca0", "pca1"] == list(made)


def test_sparse_output_and_a_supervised_transformer(prepare: Any) -> None:
    made = prepare(
        frame(),
        [
            steps.transform(OneHotEncoder(), columns="kind"),
            steps.transform(SelectKBest(k=1), columns=["a", "b"]),
            steps.filter("kind_x = 1"),
        ],
        target="label",
    ).frame()
    assert 4 == len([name for name in made if name in ("id", "label", "kind_x", "kind_y")])
    assert {1.0} == set(made.kind_x)
    assert 1 == len({"a", "b"} & set(made))


class Shift(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of a notebook's own, without names for its output."""

    def fit(self, X: pd.DataFrame) -> "Shift":  # noqa: N803
        self.by_ = len(X)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803
        return X.to_numpy() + self.by_


def test_a_transformer_of_ones_own_travels_by_value(prepare: Any) -> None:
    made = prepare(frame(), [steps.transform(Shift(), columns="a")]).frame()
    assert (frame().a + 120).tolist() == pytest.approx(made.shift_0.tolist())


def test_a_transformer_is_fitted_on_a_seeded_sample_of_what_does_not_fit() -> None:
    table = pa.table({"a": range(1000)})
    samples = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        sample = sampling.Sample(table.nbytes, seed=1)
        for shard in order:
            sample.add(table, shard, 0)
        samples.append(sample.table())
        assert 4000 == sample.seen
    assert samples[0] == samples[1]
    assert 800 < samples[0].num_rows <= 1000


def test_where_no_row_is_left_a_function_cannot_be_tried(prepare: Any) -> None:
    with pytest.raises(InvalidDataset, match="no rows are left before step"):
        prepare(frame(), [steps.filter("id < 0"), lambda part: part])


def test_a_step_by_name_may_follow_a_function_whose_columns_are_not_known_yet() -> None:
    columns = (Column(name="a", type="int64"),)
    plan = parse_steps([lambda part: part, "drop_missing"], columns=columns)
    assert ("drop_missing()",) == plan.steps_in_words[1:]
