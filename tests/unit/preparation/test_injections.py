"""Names and values of data from others are names and values in every statement, and nothing more."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from mltemporal import steps
from mltemporal.dataset.files import find_files
from mltemporal.profiling.expectations import parse_expectations
from mltemporal.profiling.measuring import profile
from mltemporal.profiling.meeting import broken_expectations

from .conftest import Prepare

NAMES = [
    'x"; DROP TABLE rows; --',
    "x\" FROM read_text('/etc/passwd') --",
    "x\", (SELECT content FROM read_text('/etc/passwd')) AS \"y",
    "x'; SELECT 1; --",
    "x/* */",
    "$1 ? :name {0} %s",
    "select",
    "rows",
    "größe €\t",
]
VALUES = ["'; DROP TABLE rows; --", "' OR 1=1 --", '"', "\\'", "$1", "%' ESCAPE '"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_column_s_name_is_a_name_in_every_step(prepare: Prepare, name: str) -> None:
    other = f"{name} 2"
    frame = pd.DataFrame({name: [1.0, None, 3.0, 4.0], other: [*VALUES[:3], VALUES[0]], "kept": [1, 2, 3, 4]})
    made = prepare(
        frame,
        [
            steps.drop_missing([name]),
            steps.fill_missing({other: VALUES[1]}),
            steps.drop_duplicates([name, other]),
            steps.cast({name: "float"}),
            steps.scale([name]),
            steps.encode([other]),
            steps.rename({name: f"{name} 3"}),
        ],
    )
    found = made.frame()
    assert [1, 3, 4] == list(found["kept"])
    assert f"{name} 3" in found
    assert 3 == len(found)


def test_a_column_s_name_and_values_do_no_harm_in_a_profile(tmp_path, name: str) -> None:  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({name: VALUES, f"{name} 2": [1.0, 2.0, 3.0, 4.0, 5.0, None]})
    path = tmp_path / "data.parquet"
    frame.to_parquet(path)
    found = profile(find_files(str(path)), target=name)
    assert (6, [name, f"{name} 2"]) == (found.rows, [column.name for column in found.columns])
    assert {*VALUES} == {top.value for top in found.columns[0].top}
    expected = parse_expectations({name: {"allowed": VALUES, "unique": True}}, None)
    assert [] == list(broken_expectations(expected, find_files(str(path))))
    assert pq.read_table(path).num_rows == 6


def test_values_that_are_not_allowed_are_told_whatever_they_hold(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "data.parquet"
    pd.DataFrame({"a": VALUES}).to_parquet(path)
    expected = parse_expectations({"a": {"allowed": VALUES[:-1]}}, None)
    assert 1 == len(list(broken_expectations(expected, find_files(str(path)))))
