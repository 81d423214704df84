"""Whether real files are as expected."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal.dataset.files import find_files
from mltemporal.errors import InvalidDataset
from mltemporal.profiling.expectations import parse_expectations
from mltemporal.profiling.meeting import broken_expectations
from mltemporal.specs.data import Expectation
from mltemporal.specs.encoding import decode, encode

TABLE = pa.table(
    {
        "age": [1, -5, 200, None],
        "whole": [1.0, 2.0, None, 3.0],
        "half": [1.0, 2.5, float("nan"), 3.0],
        "id": [1, 1, 2, 3],
        "city": ["a", "b", "zz", "y"],
        "day": [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), None, datetime.date(1999, 1, 1)],
        "seen": pa.array([0, 10, 20, 30], pa.timestamp("s", "Europe/Berlin")),
        "flag": [True, False, None, True],
        "tags": [["x"], None, [], ["y"]],
    }
)


@pytest.fixture
def files(tmp_path):
    pq.write_table(TABLE, tmp_path / "data.parquet")
    return find_files(str(tmp_path / "data.parquet"))


MET = [
    {"age": {"type": "integer", "min": -5, "max": 200, "null_share": 0.25}},
    {"age": {"type": "number", "allowed": [1, -5, 200]}},
    {"whole": {"type": "integer", "unique": True}},
    {"half": {"type": "number", "max": 3, "null_share": 0.25}},
    {"city": {"type": "text", "unique": True, "allowed": ["a", "b", "y", "zz"]}},
    {"day": {"type": "date", "min": "1999-01-01", "max": "2021-01-01"}},
    {"seen": {"type": "timestamp", "min": "1970-01-01", "max": "1970-01-01T01:00:30+01:00"}},
    {"flag": {"type": "boolean", "allowed": [True, False]}},
    {"tags": {"null_share": 0.25}},
]


@pytest.mark.parametrize("expected", MET)
def test_what_is_met_is_silent(files, expected):
    assert () == broken_expectations(parse_expectations(expected, None), files)


BROKEN = [
    ({"age": {"min": 0}}, "'age': 1 of 4 values are below 0 (least -5)"),
    ({"age": {"max": 120}}, "'age': 1 of 4 values are above 120 (greatest 200)"),
    ({"age": {"null_share": 0.01}}, "'age': 1 of 4 values are missing (25.00 %), more than 1.00 %"),
    ({"half": {"null_share": 0}}, "'half': 1 of 4 values are missing (25.00 %), more than 0.00 %"),
    ({"half": {"type": "integer"}}, "'half': 1 of 4 values are no whole numbers (least 2.5)"),
    ({"id": {"unique": True}}, "'id': 1 of 4 values repeat another: not unique"),
    ({"city": {"allowed": ["a", "b"]}}, "'city': 2 of 4 values are not allowed: 'y', 'zz'"),
    ({"day": {"min": "2000-01-01"}}, "'day': 1 of 4 values are below 2000-01-01 (least 1999-01-01)"),
    ({"day": {"allowed": ["2020-01-01"]}}, "'day': 2 of 4 values are not allowed: 1999-01-01, 2021-01-01"),
    (
        {"seen": {"max": "1970-01-01T00:00:20"}},
        "'seen': 1 of 4 values are above 1970-01-01T00:00:20 (greatest 1970-01-01T00:00:30+00:00)",
    ),
    ({"flag": {"allowed": [True]}}, "'flag': 1 of 4 values are not allowed: False"),
    ({"city": {"type": "integer", "min": 3}}, "'city' is string, not of type integer"),
    ({"gone": {"min": 3}}, "there is no column 'gone'"),
]


@pytest.mark.parametrize(("expected", "sentence"), BROKEN)
def test_what_is_broken_is_said_with_count_and_example(files, expected, sentence):
    stored = encode(parse_expectations(expected, None))
    assert (sentence,) == broken_expectations(decode(stored, tuple[Expectation, ...]), files)


def test_sentences_stand_in_the_order_of_the_expectations(files):
    expected = parse_expectations({"id": {"unique": True}, "age": {"max": 1, "min": 0}}, None)
    assert ["'id': 1", "'age': 1", "'age': 1"] == [
        sentence[: sentence.index(" of")] for sentence in broken_expectations(expected, files)
    ]


def test_a_bound_that_does_not_fit_the_table_is_broken(files):
    kept = [Expectation(column="city", minimum=3), Expectation(column="age", allowed=("a",))]
    assert (
        "min of 'city' does not fit: the column is of type text",
        "allowed of 'age' has 'a', but the column is of type integer",
    ) == broken_expectations(kept, files)


def test_quotes_in_names_and_values_are_no_sql(tmp_path):
    pq.write_table(pa.table({"a'\"b": ["it's", '"; DROP']}), tmp_path / "data.parquet")
    expected = parse_expectations({"a'\"b": {"allowed": ["it's"]}}, None)

    broken = broken_expectations(expected, find_files(str(tmp_path / "data.parquet")))

    assert ("'a\\'\"b': 1 of 2 values are not allowed: '\"; DROP'",) == broken


def test_nothing_is_read_where_nothing_is_expected(tmp_path):
    (tmp_path / "data.parquet").write_bytes(b"no parquet")
    files = find_files(str(tmp_path / "data.parquet"))

    assert () == broken_expectations((), files)
    with pytest.raises(InvalidDataset):
        broken_expectations([Expectation(column="x", unique=True)], files)
