import numpy as np
import pyarrow as pa
import pytest

from mltemporal.profiling.drift import Drift, compare
from mltemporal.profiling.sketches import SketchBuilder
from mltemporal.specs.encoding import decode, encode


def sketched(columns):
    builder = SketchBuilder()
    builder.add(pa.table(columns))
    return builder.sketch()


def compared(before, after):
    return compare(sketched(before), sketched(after))


ROWS = 600


def table(seed, rows=ROWS):
    """A table of fifty columns of the usual shapes."""
    random = np.random.default_rng(seed)
    return {
        **{f"normal {i}": random.normal(size=rows) for i in range(20)},
        **{f"skewed {i}": random.lognormal(sigma=2, size=rows) for i in range(10)},
        **{f"count {i}": random.poisson(0.3, rows) for i in range(5)},
        **{f"city {i}": random.choice(list("abcdefgh"), rows) for i in range(10)},
        **{f"flag {i}": random.random(rows) < 0.02 for i in range(5)},
    }


def test_what_did_not_change_is_not_flagged():
    reference = sketched(table(0))
    found = [compare(reference, sketched(table(seed))) for seed in range(1, 21)]

    assert [] == [name for drift in found for name in drift.moved]
    assert 50 == len(found[0].columns)


@pytest.mark.parametrize("seed", range(3))
def test_what_changed_is_flagged_and_nothing_else(seed):
    before, after = table(seed), table(seed + 100)
    random = np.random.default_rng(seed)
    after["normal 3"] = after["normal 3"] + 0.5
    after["city 2"] = np.where(random.random(ROWS) < 0.2, "new", after["city 2"])
    after["flag 1"] = random.random(ROWS) < 0.5
    after["skewed 4"] = np.where(random.random(ROWS) < 0.3, np.nan, after["skewed 4"])

    assert {"normal 3", "city 2", "flag 1", "skewed 4"} == set(compared(before, after).moved)


def test_a_trifle_in_many_rows_is_not_flagged():
    random = np.random.default_rng(0)
    drift = compared({"x": random.normal(size=10_000)}, {"x": random.normal(0.1, size=10_000)})

    assert () == drift.moved
    assert drift.columns[0].p_value < 0.001


def test_a_large_difference_of_a_few_rows_is_not_flagged():
    drift = compared({"c": list("ab") * 20}, {"c": [*"a" * 15, *"b" * 6]})

    assert () == drift.moved
    assert drift.columns[0].distance > 0.15


def test_of_too_few_values_nothing_is_said():
    drift = compared({"x": [1.0] * 100}, {"x": [9.0] * 5})

    assert () == drift.moved
    assert "only 100 and 5 values: too few to compare" == drift.columns[0].words


def test_a_column_of_missing_values_only_is_flagged_for_that():
    drift = compared({"x": [1.0] * 100}, {"x": [None] * 100 + [1.0]})

    assert ("x",) == drift.moved
    assert drift.columns[0].words.startswith("missing in 99 % of the rows instead of 0 %")


def words(before, after):
    return compared({"x": before}, {"x": after}).columns[0].words


def test_what_changed_is_said_in_words():
    assert "the median went from 1 to 2" == words([1.0] * 100, [2.0] * 100)
    assert "the median stayed 0, the values around it spread differently" == words(
        np.linspace(-1, 1, 101), np.linspace(-9, 9, 101)
    )
    assert "values that were not there before: 'c' (50 %)" == words(["a", "b"] * 50, ["a", "c"] * 50)
    assert "'a' went from 50 % to 90 % of the rows" == words(["a", "b"] * 50, [*"a" * 90, *"b" * 10])
    days = [np.array([day] * 50, "datetime64[s]") for day in ("2020-01-01", "2021-01-01")]
    assert "the median went from 2020-01-01T00:00:00 to 2021-01-01T00:00:00" == words(*days)


def test_a_number_that_was_never_there_counts_as_one():
    drift = compared({"x": [0.0, 1.0, 3.0] * 100}, {"x": [0.0, 1.0, 2.0] * 100})
    assert drift.columns[0].psi > 1


def test_the_index_is_that_of_the_text_book():
    # (0.7-0.5)·ln(0.7/0.5) + (0.3-0.5)·ln(0.3/0.5) = 0.1695
    drift = compared({"c": list("ab") * 5000}, {"c": [*"a" * 7000, *"b" * 3000]})
    assert drift.columns[0].psi == pytest.approx(0.1695, abs=0.001)
    assert drift.columns[0].distance == pytest.approx(0.2)


def test_columns_stand_by_their_index_and_those_of_one_table_are_left_out():
    drift = compared(
        {"a": list(range(100)), "b": list(range(100)), "was number": [1] * 100, "gone": [1] * 100},
        {"a": list(range(100)), "b": [200] * 100, "was number": ["x"] * 100, "came": [1] * 100},
    )

    assert ["b", "a"] == [column.name for column in drift.columns]
    assert ("was number", "gone", "came") == drift.left_out


def test_values_that_are_rare_everywhere_are_one_category():
    names = [f"name {row}" for row in range(1000)]
    drift = compared({"n": names}, {"n": [f"other {row}" for row in range(1000)]})

    assert (("other values",), ()) == (drift.columns[0].labels, drift.moved)


def test_constant_columns_compare():
    assert () == compared({"x": [1.0] * 50, "t": ["a"] * 50}, {"x": [1.0] * 50, "t": ["a"] * 50}).moved


def test_a_drift_survives_json_and_is_a_frame():
    drift = compared({"x": [1.0] * 100, "t": ["a"] * 100}, {"x": [2.0] * 100, "t": ["a"] * 100})

    assert drift == decode(encode(drift), Drift)
    assert (["x", "t"], [True, False]) == (list(drift.frame["column"]), list(drift.frame["moved"]))


def test_an_empty_table_compares_to_nothing():
    drift = compare(sketched({"x": [1.0] * 50}), SketchBuilder().sketch())
    assert ((), ("x",)) == (drift.columns, drift.left_out)
