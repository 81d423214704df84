import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from mltemporal.encoder import TableEncoder
from mltemporal.errors import InvalidDataset

NAN = float("nan")


def encoded(train: object, later: object | None = None) -> list[float]:
    """Return how one column comes out, learnt from ``train``."""
    encoder = TableEncoder().fit(pd.DataFrame({"a": train}))
    return encoder.transform(pd.DataFrame({"a": train if later is None else later})).ravel().tolist()


def same(expected: list[float], got: list[float]) -> None:
    np.testing.assert_array_equal(np.array(expected), np.array(got))


@pytest.mark.parametrize(
    "column",
    [
        [1.5, None, 3.0],
        pd.array([1.5, None, 3.0], dtype="Float64"),
        pd.Series([1.5, None, 3.0], dtype="float64[pyarrow]"),
        pd.Series([Decimal("1.5"), None, Decimal(3)], dtype=object),
    ],
)
def test_numbers_stay_and_missing_ones_are_nan(column: object) -> None:
    same([1.5, NAN, 3.0], encoded(column))


def test_infinity_is_a_very_large_number() -> None:
    same([1.0, 1e300, -1e300], encoded([1.0, np.inf, -np.inf]))


@pytest.mark.parametrize(
    "column", [[True, False, None], pd.array([True, False, None], dtype="boolean"), [1.0, 0.0, None]]
)
def test_booleans_are_numbers(column: object) -> None:
    same([1.0, 0.0, NAN], encoded(column))


@pytest.mark.parametrize(
    "column",
    [
        ["b", "a", None, "b"],
        pd.Categorical(["b", "a", None, "b"], categories=["z", "b", "a"]),
        pd.Series(["b", "a", None, "b"], dtype="string"),
        pd.Series(["b", "a", None, "b"], dtype=object),
        pd.Series(["b", 1, None, "b"], dtype=object),
    ],
)
def test_text_and_categories_become_codes_the_most_frequent_first(column: object) -> None:
    same([0.0, 1.0, NAN, 0.0], encoded(column))


def test_an_unseen_category_counts_as_missing() -> None:
    same([1.0, NAN], encoded(["b", "a", "b"], ["a", "new"]))


def test_rare_categories_beyond_the_limit_share_a_code_and_unseen_ones_join_them() -> None:
    values = [f"c{i:03}" for i in range(300)] * 3 + ["c000"]
    encoder = TableEncoder().fit(pd.DataFrame({"a": values}))

    codes = encoder.transform(pd.DataFrame({"a": ["c000", "c253", "c254", "new", None]})).ravel()

    same([0.0, 253.0, 254.0, 254.0, NAN], codes.tolist())
    assert ["a"] == encoder.grouped_


@pytest.mark.parametrize(
    "column",
    [
        pd.to_datetime(["2024-02-29 13:00", None]),
        pd.to_datetime(["2024-02-29 13:00", None]).tz_localize("UTC"),
        pd.Series([datetime.datetime(2024, 2, 29, 13), None], dtype=object),  # noqa: DTZ001
        ["2024-02-29 13:00", None],
        pd.Series(pd.to_datetime(["2024-02-29 13:00", None])).astype("timestamp[ns][pyarrow]"),
    ],
)
def test_dates_become_their_parts(column: object) -> None:
    encoder = TableEncoder().fit(pd.DataFrame({"a": column}))

    first, second = encoder.transform(pd.DataFrame({"a": column}))

    names = ["a.year", "a.month", "a.day", "a.weekday", "a.hour", "a.days"]
    assert names == encoder.get_feature_names_out().tolist()
    assert [2024.0, 2.0, 29.0, 3.0, 13.0] == first[:5].tolist()
    assert 19782 + 13 / 24 == pytest.approx(first[5])
    assert np.isnan(second).all()


def test_durations_become_seconds() -> None:
    same([60.0, NAN], encoded(pd.to_timedelta(["60s", None])))


def test_columns_that_cannot_help_are_left_out_with_the_reason() -> None:
    frame = pd.DataFrame(
        {
            "x": np.arange(400.0),
            "constant": 1,
            "missing": None,
            "id": [f"u{i}" for i in range(400)],
            "nested": [[1]] * 400,
        }
    )

    encoder = TableEncoder().fit(frame)

    assert {
        "constant": "is constant",
        "missing": "has no value",
        "id": "has a different text in most rows",
        "nested": "holds nested values",
    } == encoder.left_out_
    assert (400, 1) == encoder.transform(frame).shape


def test_a_table_without_a_useful_column_is_refused() -> None:
    with pytest.raises(InvalidDataset, match=r"no column is left to learn from \('a': is constant\)"):
        TableEncoder().fit(pd.DataFrame({"a": [1, 1]}))


def test_a_missing_column_is_named_and_others_are_ignored() -> None:
    encoder = TableEncoder().fit(pd.DataFrame({"a": [1, 2], "b": [1, 2]}))

    with pytest.raises(InvalidDataset, match="lacks columns that the model was trained on: 'b'"):
        encoder.transform(pd.DataFrame({"a": [1]}))
    assert [[1.0, 2.0]] == encoder.transform(pd.DataFrame({"b": [2], "new": [0], "a": [1]})).tolist()


def test_it_can_be_cloned() -> None:
    assert 7 == clone(TableEncoder(max_categories=7)).max_categories
