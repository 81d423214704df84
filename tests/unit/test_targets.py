import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mltemporal.errors import InvalidDataset
from mltemporal.targets import find_target, task_of

ROWS = 200
RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=ROWS)
CODES = RANDOM.integers(0, 3, size=ROWS)
WORDS = np.array(["x", "y", "z"])[CODES]


@pytest.mark.parametrize(
    ("values", "task", "why"),
    [
        (WORDS, "classification", "predicting 'c' (3 classes): classification"),
        (pd.Categorical(WORDS), "classification", "predicting 'c' (3 classes): classification"),
        ([True, False] * 100, "classification", "predicting 'c' (2 classes): classification"),
        ([True, None] * 100, "classification", "predicting 'c' (1 classes): classification"),
        (CODES, "classification", "predicting 'c' (3 whole-number classes): classification"),
        (
            [1.0, 2.0, 3.0, None] * 50,
            "classification",
            "predicting 'c' (3 whole-number classes): classification",
        ),
        ([0, 1] * 3, "classification", "predicting 'c' (2 whole-number classes): classification"),
        (NUMBERS, "regression", "predicting 'c' (numbers, 200 distinct values): regression"),
        (range(ROWS), "regression", "predicting 'c' (numbers, 200 distinct values): regression"),
        (list(range(21)) * 100, "regression", "predicting 'c' (numbers, 21 distinct values): regression"),
        ([1, 2, 3, 4], "regression", "predicting 'c' (numbers, 4 distinct values): regression"),
        ([1.5, 2.5] * 100, "regression", "predicting 'c' (numbers, 2 distinct values): regression"),
        (
            [Decimal("1.5"), Decimal("2.25")] * 9,
            "regression",
            "predicting 'c' (numbers, 2 distinct values): regression",
        ),
    ],
)
def test_the_task_follows_from_the_values(values: object, task: str, why: str) -> None:
    assert (task, why) == task_of(pd.Series(values), "c")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (pd.date_range("2020", periods=9), "target 'c' holds dates or durations"),
        ([datetime.date(2020, 1, day) for day in range(1, 9)], "target 'c' holds dates or durations"),
        ([[1], [2]], "target 'c' holds nested values"),
        (["a", "b", "c"], "target 'c' has another text in each of its 3 rows"),
    ],
)
def test_what_cannot_be_predicted_is_refused(values: object, what: str) -> None:
    with pytest.raises(InvalidDataset, match=what):
        task_of(pd.Series(values), "c")


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": range(ROWS), "same": 1, "n1": NUMBERS, "n2": NUMBERS + 1, **columns})


def test_a_dataset_that_names_its_target_is_believed() -> None:
    choice = find_target(table(target=NUMBERS, other=WORDS), names_hint="other")
    assert ("other", "classification") == (choice.target, choice.task)
    assert "the target is 'other': named by the dataset" == choice.why


def test_a_conventional_name_is_the_target_wherever_it_stands() -> None:
    choice = find_target(table(Species=WORDS, year=CODES))
    assert "the target is 'Species': a conventional name" == choice.why


def test_the_last_column_is_the_target_when_it_alone_holds_classes() -> None:
    choice = find_target(table(variety=WORDS))
    assert "the target is 'variety': last column, the only one with classes" == choice.why


def test_a_toy_table_of_x_and_y_predicts_y() -> None:
    choice = find_target(pd.DataFrame({"x": range(100), "y": [2 * i for i in range(100)]}))
    assert ("y", "regression") == (choice.target, choice.task)


@pytest.mark.parametrize(
    ("frame", "listed"),
    [
        (table(), "'n1', 'n2'"),
        (table(a=WORDS, b=WORDS), "'n1', 'n2', 'a', 'b'"),
        (table(a=WORDS, n3=NUMBERS), "'n1', 'n2', 'a', 'n3'"),
        (table(survived=CODES, **{"class": WORDS}), "'survived', 'class'"),
        (table(x=NUMBERS, y=NUMBERS, z=NUMBERS), "'n1', 'n2', 'x', 'y', 'z'"),
    ],
)
def test_an_ambiguous_target_lists_the_candidates(frame: pd.DataFrame, listed: str) -> None:
    with pytest.raises(InvalidDataset) as caught:
        find_target(frame)
    assert f"which column to predict is ambiguous; candidates are {listed}" == caught.value.what
    last = listed.rsplit("'", 2)[1]
    assert f'name it, for example train(dataset, target="{last}")' == caught.value.next_step


def test_long_lists_of_candidates_are_cut() -> None:
    with pytest.raises(InvalidDataset, match="'c9' and 20 more"):
        find_target(pd.DataFrame({f"c{i}": NUMBERS for i in range(30)}))


def test_ids_constants_dates_and_nested_values_are_no_candidates() -> None:
    frame = pd.DataFrame(
        {
            "id": range(ROWS),
            "key": [f"k{i}" for i in range(ROWS)],
            "same": 1,
            "none": None,
            "day": pd.date_range("2020", periods=ROWS),
            "list": [[i] for i in range(ROWS)],
        }
    )
    with pytest.raises(InvalidDataset, match="no column can be predicted"):
        find_target(frame)
