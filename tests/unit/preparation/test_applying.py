import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal import steps
from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.preparation import applying, rows


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": range(200),
            "age": random.integers(0, 90, 200),
            "weight": random.normal(70, 10, 200),
            "height": random.normal(1.7, 0.1, 200),
            "city": random.choice(["Bonn", "Köln", "it's", None], 200),
            "label": random.integers(0, 2, 200).astype(bool),
            "day": pd.date_range("2020-01-01", periods=200, freq="D", tz="Europe/Berlin"),
        }
    )
    frame.loc[::7, "weight"] = np.nan
    return frame


def agree(expected: pd.DataFrame, actual: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        expected.reset_index(drop=True), actual.reset_index(drop=True), check_dtype=False, check_freq=False
    )


def test_no_step_leaves_every_row_and_type(prepare: Any, frame: pd.DataFrame) -> None:
    made = prepare(frame, None, shards=2)
    agree(frame, made.frame())
    assert "timestamp[us, tz=Europe/Berlin]" == str(made.parts["dataset"].schema.field("day").type)
    assert [{"rows_in": 120, "dataset": 120}, {"rows_in": 80, "dataset": 80}] == made.rows


def test_rows_and_columns_are_chosen_renamed_and_derived(prepare: Any, frame: pd.DataFrame) -> None:
    made = prepare(
        frame,
        [
            steps.filter("age > 18 AND city IS NOT NULL -- grown up"),
            steps.derive(bmi="weight / (height * height)", age="age + 1", half="0.5 * age"),
            steps.drop_missing("weight"),
            steps.rename(city="town", bmi="index"),
            steps.select(["index", "town", "age", "half"]),
            steps.drop("half"),
        ],
    )
    expected = frame[(frame.age > 18) & frame.city.notna() & frame.weight.notna()]
    expected = pd.DataFrame(
        {"index": expected.weight / expected.height**2, "town": expected.city, "age": expected.age + 1}
    )
    agree(expected, made.frame())


def test_missing_values_are_filled_by_what_the_training_part_says(prepare: Any, frame: pd.DataFrame) -> None:
    made = prepare(
        frame.assign(other=frame.weight, third=frame.age.where(frame.age > 30)),
        [
            steps.split(by="id"),
            steps.fill_missing(
                {"weight": "mean", "other": "median", "city": "most_frequent", "third": 5, "label": False}
            ),
        ],
    )
    train, test = made.frame("train"), made.frame("test")
    seen = frame[frame.id.isin(train.id)]
    assert 20 < len(test) < 60
    for part in (train, test):
        missing = part.id % 7 == 0
        assert missing.any()
        assert part.weight[missing].to_numpy() == pytest.approx(seen.weight.mean(), rel=1e-12)
        assert part.other[missing].to_numpy() == pytest.approx(seen.weight.median(), rel=1e-12)
        assert {seen.city.mode()[0]} == set(part.city[part.id.isin(frame.id[frame.city.isna()])])
        assert (part.third[part.age <= 30] == 5).all()


def test_nan_is_missing_like_null(prepare: Any) -> None:
    table = pa.table({"x": [1.0, float("nan"), None, 3.0], "k": [1, 2, 3, 4]})
    assert [1, 4] == prepare(table, [steps.drop_missing()]).frame().k.tolist()
    assert [1.0, 2.0, 2.0, 3.0] == prepare(
        table, [steps.fill_missing("mean", columns="x")]
    ).frame().x.tolist()


def test_a_filter_finds_nan_that_the_files_statistics_leave_out(prepare: Any) -> None:
    table = pa.table({"x": [1.0, float("nan"), None, 3.0], "k": [1, 2, 3, 4]})
    assert [2] == prepare(table, [steps.filter("isnan(x)")]).frame().k.tolist()
    assert [2] == prepare(table, [steps.filter("x > 5")]).frame().k.tolist()


@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
def test_numbers_are_scaled_as_scikit_learn_does(prepare: Any, frame: pd.DataFrame, method: str) -> None:
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    scaler = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}[method]()
    columns = ["weight", "age", "constant"]
    frame = frame.assign(constant=3)
    made = prepare(frame, [steps.split(by="id"), steps.scale(columns, method)])
    scaler.fit(frame[frame.id.isin(made.frame("train").id)][columns])
    for part in ("train", "test"):
        rows = frame[frame.id.isin(made.frame(part).id)][columns]
        assert made.frame(part)[columns].to_numpy() == pytest.approx(scaler.transform(rows), nan_ok=True)


def test_categories_become_columns_of_zeros_and_ones(prepare: Any, frame: pd.DataFrame) -> None:
    made = prepare(frame, [steps.encode("city")]).frame()
    assert ["id", "age", "weight", "height", "city_Bonn", "city_Köln", "city_it's", "label", "day"] == list(
        made
    )
    for city in ("Bonn", "Köln", "it's"):
        assert (frame.city == city).astype(int).tolist() == made[f"city_{city}"].tolist()


def test_categories_become_their_place_in_order(prepare: Any) -> None:
    frame = pd.DataFrame({"k": [1, 1, 1, 1, 0], "c": ["b", "a", None, "b", "new"], "n": [10, 9, 8, 10, 7]})
    made = prepare(frame, [steps.split(time="k", test_from="1"), steps.encode(["c", "n"], "ordinal")], rows=5)
    train = made.frame("train")
    assert ["new"] == [*made.fitted.state(1).values["c"]]
    assert [0] == train.c.tolist()
    test = made.frame("test")
    assert [-1.0, -1.0, None, -1.0] == [None if pd.isna(v) else v for v in test.c]


def test_rare_categories_share_one_code(prepare: Any) -> None:
    frame = pd.DataFrame({"c": [*list("aaabbcd"), None]})
    onehot = prepare(frame, [steps.encode("c", max_categories=3)]).frame()
    assert ["c_a", "c_b", "c_other"] == list(onehot)
    assert [0, 0, 0, 0, 0, 1, 1, 0] == onehot.c_other.tolist()
    ordinal = prepare(frame, [steps.encode("c", "ordinal", max_categories=3)]).frame()
    assert [0, 0, 0, 1, 1, 2, 2] == ordinal.c.tolist()[:7]


def test_categories_that_differ_by_capitals_only_get_columns_of_their_own(prepare: Any) -> None:
    assert ["c_No", "c_no_2"] == list(prepare(pd.DataFrame({"c": ["no", "No"]}), [steps.encode("c")]).frame())


def test_too_many_categories_are_refused_with_what_to_do(prepare: Any) -> None:
    with pytest.raises(InvalidDataset, match="add max_categories=50"):
        prepare(pd.DataFrame({"c": range(201)}), [steps.encode("c")])


def test_a_value_that_cannot_be_cast_is_named(prepare: Any) -> None:
    frame = pd.DataFrame({"a": ["1", "x"]})
    with pytest.raises(
        InvalidDataset, match=r"cast\(\{'a': 'int64'\}\) failed: Could not convert string 'x'"
    ):
        prepare(frame, [steps.cast({"a": "int64"})])
    made = prepare(frame, [steps.cast({"a": "int64"}, errors="coerce")])
    assert [1, None] == made.parts["dataset"].column("a").to_pylist()


def test_columns_of_unusual_types_pass_through(prepare: Any) -> None:
    table = pa.table(
        {
            "nested": [{"a": [1, 2]}, None],
            "lasting": pa.array([1_500, None], pa.duration("ms")),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "bytes": [b"\x00", None],
            "exact": pa.array([1, 2]).cast(pa.decimal128(30, 2)),
            "small": pa.array([1, 2], pa.uint8()),
        }
    )
    made = prepare(table, [steps.filter("small > 0")]).parts["dataset"]
    assert table.to_pylist() == made.to_pylist()
    assert pa.duration("ms") == made.schema.field("lasting").type
    assert pa.uint8() == made.schema.field("small").type


def test_an_interval_is_refused_as_parquet_has_none(prepare: Any, frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidRequest, match="write epoch"):
        prepare(frame, [steps.derive(since="day - TIMESTAMPTZ '2020-01-01'")])


PLANS: list[Any] = [
    [
        steps.split(),
        steps.filter("age > 18"),
        steps.fill_missing({"weight": "mean"}),
        steps.derive(x="weight / 2"),
    ],
    [steps.split(stratify="city"), "drop_duplicates", steps.scale("age")],
    [steps.drop_duplicates(["age", "city"]), steps.split(group="city"), lambda frame: frame[frame.age > 3]],
    [steps.split(time="day"), steps.encode("city"), steps.rename(age="years")],
]


@pytest.mark.parametrize("plan", PLANS)
def test_a_rerun_writes_the_same_bytes_whoever_reads_the_files(
    prepare: Any, frame: pd.DataFrame, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_duckdb = prepare(frame, plan, shards=2, threads=1)
    written = {path: path.read_bytes() for paths in by_duckdb.files.values() for path in paths}
    assert rows.stretch is not None
    monkeypatch.setattr(rows, "stretch", lambda *_: None)
    in_batches = prepare(frame, plan, shards=2, threads=4)
    assert by_duckdb.rows == in_batches.rows
    assert by_duckdb.fitted.states == in_batches.fitted.states
    assert written == {path: path.read_bytes() for paths in in_batches.files.values() for path in paths}


def test_how_the_rows_are_cut_into_shards_changes_nothing(prepare: Any, frame: pd.DataFrame) -> None:
    plan = [
        steps.split(stratify="city"),
        steps.drop_duplicates(["age", "city"]),
        steps.scale("age", "robust"),
    ]
    one, many = prepare(frame, plan, shards=1), prepare(frame, plan, shards=3)
    assert 3 == len(many.rows)
    assert one.parts == many.parts


def test_a_shard_without_rows_has_a_file_with_its_columns(prepare: Any, frame: pd.DataFrame) -> None:
    made = prepare(frame, [steps.filter("id >= 120"), steps.encode("city")], shards=2)
    empty = pq.read_table(made.files["dataset"][0])
    assert 0 == empty.num_rows
    assert made.parts["dataset"].schema == empty.schema


def test_row_groups_have_one_size(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "ROW_GROUP_ROWS", 50)
    table = pa.table({"a": range(220)})
    made = prepare(table, [steps.filter("a <> 3")], rows=220, shards=1)
    groups = pq.ParquetFile(made.files["dataset"][0]).metadata
    assert [50, 50, 50, 50, 19] == [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert [a for a in range(220) if a != 3] == made.frame().a.tolist()


# Files


def test_folders_become_columns(prepare: Any, folder: Path) -> None:
    for year in (2020, 2021):
        (folder / f"year={year}").mkdir()
        pq.write_table(pa.table({"a": [1, 2]}), folder / f"year={year}" / "x.parquet")
    made = prepare(folder, [steps.filter("year > 2020 OR a = 1")]).frame()
    assert [(1, 2020), (1, 2021), (2, 2021)] == list(made.itertuples(index=False, name=None))


def test_files_whose_types_differ_become_one_table(prepare: Any, folder: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), folder / "1.parquet")
    pq.write_table(pa.table({"b": ["y"], "a": [2.5]}), folder / "2.parquet")
    made = prepare(folder, [steps.filter("a > 0")]).parts["dataset"]
    assert [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}] == made.to_pylist()


def test_csv_files_have_the_same_types_from_the_first_row_to_the_last(prepare: Any, folder: Path) -> None:
    (folder / "1.csv").write_text("a,b\n1,x\n,y\n")
    with gzip.open(folder / "2.csv.gz", "wt") as file:
        file.write("a,b\n2.5,\n")
    made = prepare(folder, [steps.fill_missing({"a": "mean"}), steps.filter("b IS NULL OR a < 5")])
    assert [1.0, 1.75, 2.5] == made.frame().a.tolist()
    assert [2, 1] == [each["rows_in"] for each in made.rows]


def test_a_csv_row_that_does_not_parse_is_named(prepare: Any, folder: Path) -> None:
    (folder / "1.csv").write_text("a,b\n1,x\n2,y,z\n")
    with pytest.raises(InvalidDataset, match=r"1\.csv' does not parse as CSV: row 3"):
        prepare(folder, None)


def test_a_file_with_a_glob_in_its_name_is_one_file(prepare: Any, folder: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), folder / "x[12].parquet")
    pq.write_table(pa.table({"a": [2]}), folder / "x1.parquet")
    assert [2, 1] == prepare(folder, [steps.filter("a > 0")]).frame().a.tolist()


def test_a_corrupt_file_is_told(prepare: Any, folder: Path) -> None:
    pq.write_table(pa.table({"a": range(10_000), "b": [str(i) for i in range(10_000)]}), folder / "x.parquet")
    content = bytearray((folder / "x.parquet").read_bytes())
    content[100:40_000] = bytes(39_900)
    (folder / "x.parquet").write_bytes(content)
    with pytest.raises(InvalidDataset, match=r"x\.parquet"):
        prepare(folder, [steps.filter("a > 0")])
