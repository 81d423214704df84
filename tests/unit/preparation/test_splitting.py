from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal import steps
from mltemporal.preparation.hashing import row_hash

WAYS = [
    steps.split(0.3),
    steps.split(0.3, by="id"),
    steps.split(0.3, stratify="kind"),
    steps.split(0.3, group="user"),
    steps.split(time="moment", test_from="700"),
]


def rows(count: int, start: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(start)
    frame = pd.DataFrame(
        {
            "id": range(start, start + count),
            "kind": random.choice(["a", "b", "rare", None], count, p=[0.6, 0.3, 0.05, 0.05]),
            "user": random.integers(0, 100, count),
            "moment": range(start, start + count),
        }
    )
    frame["weight"] = random.normal(size=count)
    return frame


def write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / name, row_group_size=300)


@pytest.mark.parametrize("way", WAYS)
def test_a_row_stays_on_its_side_when_data_is_appended(prepare: Any, folder: Path, way: steps.Split) -> None:
    write(folder, "1.parquet", rows(1000))
    before = prepare(folder, [way], shards=2)
    write(folder, "2.parquet", rows(500, 1000))
    after = prepare(folder, [way])
    assert set(before.frame("test").id) == {row for row in after.frame("test").id if row < 1000}
    assert {*range(1500)} == {*after.frame("train").id} | {*after.frame("test").id}
    assert 1500 == len(after.frame("train")) + len(after.frame("test"))
    if way.time is None:
        assert 0.3 == pytest.approx(len(after.frame("test")) / 1500, abs=0.06)


@pytest.mark.parametrize("share", [0.2, 1 / 3, 0.8])
def test_every_class_has_its_share_to_within_a_row(prepare: Any, share: float) -> None:
    made = prepare(
        rows(1000), [steps.filter("id % 3 <> 0"), steps.split(share, stratify="kind")], rows=300, shards=3
    )
    test, train = made.frame("test"), made.frame("train")
    for kind in ("a", "b", "rare", None):
        in_test = (test.kind.isna() if kind is None else test.kind == kind).sum()
        in_train = (train.kind.isna() if kind is None else train.kind == kind).sum()
        assert in_test == pytest.approx(share * (in_test + in_train), abs=1)


def test_a_group_stays_together(prepare: Any) -> None:
    made = prepare(rows(1000), [steps.split(group="user")])
    assert set() == set(made.frame("train").user) & set(made.frame("test").user)


def test_the_latest_rows_are_the_test_part_and_the_moment_is_told(prepare: Any) -> None:
    frame = rows(1000).sample(frac=1, random_state=0)
    made = prepare(frame, [steps.split(0.25, time="moment")])
    assert 250 == len(made.frame("test"))
    assert 750 == made.frame("test").moment.min()
    assert "test_from='750'" in made.fitted.notes[0]


def test_rows_without_a_moment_are_for_training(prepare: Any) -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2020-01-01", None, "2020-01-03"]), "k": [1, 2, 3]})
    made = prepare(frame, [steps.split(time="at", test_from="2020-01-02")])
    assert [1, 2] == made.frame("train").k.tolist()
    assert [3] == made.frame("test").k.tolist()


def test_another_seed_splits_otherwise(prepare: Any) -> None:
    sides = [set(prepare(rows(500), [steps.split()], seed=seed).frame("test").id) for seed in (0, 1)]
    assert sides[0] != sides[1]


def test_the_steps_before_and_after_do_not_change_sides(prepare: Any) -> None:
    frame = rows(500)
    plain = prepare(frame, [steps.split()])
    busy = prepare(
        frame,
        [steps.derive(weight="weight * 2"), steps.drop("user"), lambda part: part.assign(z=1), steps.split()],
    )
    assert set(plain.frame("test").id) == set(busy.frame("test").id)


# The hash is written down in data that is split already: it must never change.


def hashed(values: Any, type: Any = None) -> list[int]:
    return [int(h) for h in row_hash(pa.table({"a": pa.array(values, type)}), ["a"], 0)]


def test_the_hash_is_the_one_it_always_was() -> None:
    table = pa.table(
        {
            "whole": [1, None],
            "fraction": [0.5, float("nan")],
            "text": ["a text that is longer than eight bytes", "short"],
            "flag": [True, False],
            "day": pa.array([0, 1], pa.date32()),
            "exact": pa.array([1, 2]).cast(pa.decimal128(30, 2)),
            "list": [[1, 2], None],
        }
    )
    assert [13176131197885111736, 1458431949197882085] == [
        int(h) for h in row_hash(table, table.column_names, 7)
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (hashed([1, 2, None], pa.int64()), hashed([1, 2, None], pa.int8())),
        (hashed([1, 2, None], pa.int64()), hashed([1.0, 2.0, None], pa.float64())),
        (hashed([2]), hashed(pa.array([2]).cast(pa.decimal128(30, 2)))),
        (hashed([0.5], pa.float32()), hashed([0.5], pa.float64())),
        (hashed([float("nan")]), hashed([None], pa.float64())),
        (hashed([0.0]), hashed([-0.0])),
        (hashed(["x", "long text " * 3, ""]), hashed(["x", "long text " * 3, ""], pa.large_string())),
        (hashed([1], pa.timestamp("s")), hashed([1_000_000_000], pa.timestamp("ns"))),
        (hashed([1], pa.date32()), hashed([86_400], pa.timestamp("s"))),
    ],
)
def test_equal_values_hash_alike_whatever_their_type(one: list[int], other: list[int]) -> None:
    assert one == other


def test_where_a_batch_begins_changes_no_hash() -> None:
    texts = [None if i % 7 == 0 else "x" * (i % 30) for i in range(100)]
    table = pa.table({"a": texts, "b": range(100)})
    whole = row_hash(table, ["a", "b"], 3)
    parts = [row_hash(table.slice(i, 9), ["b", "a"], 3) for i in range(0, 100, 9)]
    assert whole.tolist() == np.concatenate(parts).tolist()


def test_texts_that_are_alike_hash_apart() -> None:
    texts = ["", "\0", "\0\0", "a", "a\0", "ab", "ba", "x" * 8, "x" * 9, "x" * 16, "12345678a", "a12345678"]
    assert len(texts) == len(set(hashed(texts)))
