import datetime

import numpy as np
import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.profiling.expectations import parse_expectations
from mltemporal.specs.data import Column, Expectation
from mltemporal.specs.encoding import decode, encode

COLUMNS = tuple(
    Column(name=name, type=kind)
    for name, kind in (
        ("age", "int64"),
        ("price", "double"),
        ("city", "dictionary<values=string, indices=int32, ordered=0>"),
        ("flag", "bool"),
        ("day", "date32[day]"),
        ("seen", "timestamp[us, tz=UTC]"),
        ("tags", "list<item: string>"),
    )
)


def test_nothing_is_expected_of_none():
    assert () == parse_expectations(None, COLUMNS)


def test_a_mapping_becomes_expectations_in_its_order():
    found = parse_expectations(
        {
            "age": {"type": "integer", "min": 0, "max": np.int64(120), "null_share": 0.01},
            "city": {"allowed": ["oslo", "rome"], "unique": False},
            "day": {"min": datetime.date(2020, 1, 1), "max": "2030-12-31"},
            "seen": {"min": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)},
            "price": {"allowed": {1.5, 0.5}},
            "flag": {"allowed": [True]},
        },
        COLUMNS,
    )

    assert (
        Expectation(column="age", type="integer", minimum=0, maximum=120, null_share=0.01),
        Expectation(column="city", allowed=("oslo", "rome")),
        Expectation(column="day", minimum="2020-01-01", maximum="2030-12-31"),
        Expectation(column="seen", minimum="2020-01-01T00:00:00+00:00"),
        Expectation(column="price", allowed=(0.5, 1.5)),
        Expectation(column="flag", allowed=(True,)),
    ) == found
    assert found == decode(encode(found), tuple[Expectation, ...])


def test_expectations_themselves_are_taken_too():
    given = [Expectation(column="age", unique=True)]
    assert tuple(given) == parse_expectations(given, COLUMNS)


def test_names_are_not_checked_where_the_columns_are_not_known_yet():
    found = parse_expectations({"made later": {"min": 0}}, None)
    assert (Expectation(column="made later", minimum=0),) == found


REFUSED = [
    ("age", "no mapping of columns"),
    ({"agee": {"min": 0}}, "'agee', which is not a column\nNext step: did you mean 'age'?"),
    ({"age": 3}, "what is expected of 'age' is 3"),
    ({"age": {}}, "nothing is expected of 'age'"),
    ({"age": {"mni": 0}}, "unknown check 'mni'\nNext step: did you mean 'min'"),
    ({"age": {"type": "int"}}, "'age' is expected to be 'int'\nNext step: did you mean 'integer'?"),
    ({"age": {"null_share": 5}}, "null_share of 'age' is 5"),
    ({"age": {"unique": "yes"}}, "unique of 'age' is 'yes'"),
    ({"age": {"min": "old"}}, "min of 'age' is 'old'"),
    ({"age": {"min": True}}, "min of 'age' is True"),
    ({"age": {"min": float("nan")}}, "min of 'age' is nan"),
    ({"age": {"min": 3, "max": 2}}, "min of 'age', 3, is above max, 2"),
    ({"day": {"min": "2021-01-01", "max": "2020-01-01"}}, "min of 'day', '2021-01-01', is above max"),
    ({"age": {"min": "2020-01-01"}}, "the column is of type integer\nNext step: use a number"),
    ({"day": {"min": 3}}, "the column is of type date\nNext step: use a date"),
    ({"city": {"min": 3}}, "min of 'city' does not fit: the column is of type text"),
    ({"tags": {"unique": True}}, "unique of 'tags' does not fit"),
    ({"city": {"allowed": "oslo"}}, "allowed of 'city' is 'oslo'"),
    ({"city": {"allowed": []}}, "allowed of 'city' has 0 values"),
    ({"city": {"allowed": ["a", None]}}, "allowed of 'city' has None"),
    ({"city": {"allowed": ["a", 1]}}, "allowed of 'city' mixes texts"),
    ({"city": {"allowed": [1]}}, "allowed of 'city' has 1, but the column is of type text"),
    ({"age": {"allowed": [True]}}, "allowed of 'age' has True, but the column is of type integer"),
    ({"day": {"allowed": ["soon"]}}, "allowed of 'day' has 'soon', but the column is of type date"),
    ([{"age": 1}], "is no Expectation"),
]


@pytest.mark.parametrize(("value", "text"), REFUSED)
def test_what_cannot_be_expected_is_refused_in_words(value, text):
    with pytest.raises(InvalidRequest) as caught:
        parse_expectations(value, COLUMNS)
    assert text in str(caught.value)
