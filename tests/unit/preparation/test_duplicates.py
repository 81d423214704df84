from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal import steps


def frame(count: int = 600) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": random.choice([0.5, 1.5, float("nan"), None], count),
            "b": random.choice(["x", "y", None], count),
            "c": random.integers(0, 30, count),
            "row": range(count),
        }
    )


@pytest.mark.parametrize("columns", [["a", "b"], ["b"], ["a", "b", "c"], ["row"]])
def test_the_first_of_equal_rows_stays(prepare: Any, columns: list[str]) -> None:
    made = prepare(frame(), [steps.drop_duplicates(columns)], rows=100, shards=3, threads=2)
    assert frame().drop_duplicates(columns).row.tolist() == made.frame().row.tolist()


def test_over_files_the_first_file_by_name_counts(prepare: Any, folder: Path) -> None:
    for name, values in {"b": [2, 3, 3], "a": [1, 2, 2], "c": [1, 4]}.items():
        pq.write_table(pa.table({"v": values, "of": [name] * len(values)}), folder / f"{name}.parquet")
    made = prepare(folder, [steps.drop_duplicates("v")])
    assert [(1, "a"), (2, "a"), (3, "b"), (4, "c")] == list(made.frame().itertuples(index=False, name=None))
    assert ("4 rows that occur before were dropped.",) == made.fitted.notes


def test_rows_are_compared_as_the_steps_before_made_them(prepare: Any) -> None:
    made = prepare(
        pd.DataFrame({"v": ["x", "X", "y", "Y", "z"], "n": range(5)}),
        [steps.filter("n > 0"), steps.derive(v="upper(v)"), steps.drop("n"), "drop_duplicates"],
        rows=2,
        shards=2,
    )
    assert ["X", "Y", "Z"] == made.frame().v.tolist()


def test_a_second_look_for_duplicates_sees_what_the_first_left(prepare: Any) -> None:
    made = prepare(
        frame(),
        [steps.drop_duplicates(["a", "b", "c"]), steps.drop_duplicates(["b", "c"])],
        rows=100,
        shards=2,
    )
    assert frame().drop_duplicates(["b", "c"]).row.tolist() == made.frame().row.tolist()


def test_nested_values_are_compared_too(prepare: Any) -> None:
    table = pa.table({"v": [[1, 2], [1, 2], None, None, [2, 1]], "row": range(5)})
    assert [0, 2, 4] == prepare(table, [steps.drop_duplicates("v")], rows=2).frame().row.tolist()


def test_what_is_learnt_after_is_learnt_from_what_is_left(prepare: Any) -> None:
    data = pd.DataFrame({"v": [1.0, 1.0, 1.0, 3.0, None]})
    made = prepare(data, ["drop_duplicates", steps.fill_missing({"v": "mean"})], rows=2)
    assert [1.0, 3.0, 2.0] == made.frame().v.tolist()
