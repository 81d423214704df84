import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import datasets as sklearn_datasets
from sklearn.utils import Bunch

from mltemporal.dataset import files
from mltemporal.dataset.checking import check_target, inspect
from mltemporal.dataset.loading import load, local_path
from mltemporal.dataset.validating import validate
from mltemporal.errors import CorruptObject, InvalidDataset, NotFound
from mltemporal.storage.content import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": range(10), "b": list("xy") * 5})


def refusal(source: object, **options: object) -> str:
    with pytest.raises(InvalidDataset) as caught:
        inspect(source, **options)
    return str(caught.value)


def round_trip(source: object, storage: Storage) -> pd.DataFrame:
    ref = inspect(source).store(storage)
    validate(ref, storage=storage)
    return load(ref, storage)


# Tables in memory


def test_a_pandas_table_keeps_categories_dates_missing_values_and_attrs(storage: Storage) -> None:
    frame = pd.DataFrame(
        {
            "number": [1.5, None, 3.0],
            "text": ["x", None, "z"],
            "kind": pd.Categorical(["lo", "hi", "lo"], categories=["lo", "hi"], ordered=True),
            "day": pd.to_datetime(["2020-01-01", None, "2021-06-01"]),
            "flag": pd.array([True, None, False], dtype="boolean"),
        }
    )
    frame.attrs = {"source": "test"}
    loaded = round_trip(frame, storage)
    pd.testing.assert_frame_equal(frame, loaded)
    assert {"source": "test"} == loaded.attrs


def test_the_same_table_is_stored_once_and_another_one_beside_it(
    storage: Storage, frame: pd.DataFrame
) -> None:
    first, again = inspect(frame).store(storage), inspect(frame.copy()).store(storage)
    other = inspect(frame.assign(a=0)).store(storage)
    assert first == again
    assert first.fingerprint != other.fingerprint


def test_nothing_is_stored_by_the_check(tmp_path: Path, frame: pd.DataFrame) -> None:
    inspect(frame, target="b")
    assert [] == list(tmp_path.iterdir())


def test_an_index_with_a_name_becomes_a_column_and_one_without_is_dropped(
    storage: Storage, frame: pd.DataFrame
) -> None:
    assert ["a", "b"] == list(round_trip(frame.iloc[::-1], storage).columns)
    assert ["a", "b", "c"] == list(round_trip(frame.assign(c=1).set_index("a"), storage).columns)
    assert ["a", "b"] == list(round_trip(frame.set_index("a", drop=False), storage).columns)


def test_column_names_that_are_numbers_become_text(storage: Storage) -> None:
    assert ["0", "1"] == list(round_trip(pd.DataFrame(np.eye(3)[:, :2]), storage).columns)
    assert refusal(pd.DataFrame([[1, 2]], columns=[1, "1"])).startswith("column names are repeated: '1'")


def test_a_polars_table_needs_no_pandas_and_keeps_its_values(storage: Storage) -> None:
    pl = pytest.importorskip("polars")
    kinds = pl.Series(["u", "v", "u"], dtype=pl.Categorical)
    table = pl.DataFrame({"x": [1, None, 3], "t": ["a", None, "c"], "k": kinds})
    loaded = round_trip(table, storage)
    assert ["u", "v", "u"] == list(loaded["k"])
    assert "category" == str(loaded["k"].dtype)
    assert [True, False, True] == list(loaded["t"].notna())


def test_an_arrow_table_and_a_record_batch_are_taken(storage: Storage, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame)
    pd.testing.assert_frame_equal(frame, round_trip(table, storage))
    pd.testing.assert_frame_equal(frame, round_trip(table.to_batches()[0], storage))


@pytest.mark.parametrize("as_frame", [True, False])
def test_a_bunch_brings_its_target(storage: Storage, as_frame: bool) -> None:
    checked = inspect(sklearn_datasets.load_iris(as_frame=as_frame))
    assert "target" == checked.target
    assert ("sepal length (cm)", "target") == (checked.column_names[0], checked.column_names[-1])
    assert "target" == checked.store(storage).target


def test_the_target_of_a_bunch_takes_the_one_name_that_it_has() -> None:
    bunch = Bunch(data=np.eye(3), target=[1.0, 2.0, 3.0], target_names=["MedHouseVal"])
    assert "MedHouseVal" == inspect(bunch).target


@pytest.mark.parametrize(
    ("bunch", "what"),
    [
        (Bunch(data=["a", "b"], target=[0, 1]), "the Bunch's data (list) and target do not make a table"),
        (Bunch(data=np.eye(2), target=np.eye(2)), "the Bunch has several targets"),
    ],
)
def test_a_bunch_that_is_no_table_is_refused(bunch: Bunch, what: str) -> None:
    assert refusal(bunch).startswith(what)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (pd.Series([1]), "pandas.Series is no table\nNext step: pass a table: series.to_frame()"),
        ([1], "list is no table\nNext step: pass a table: pandas.DataFrame(rows)"),
        (
            np.eye(2),
            "numpy.ndarray is no table\nNext step: pass a table: pandas.DataFrame(array, columns=[...])",
        ),
        (
            3,
            "int is no table\nNext step: pass a pandas, polars or pyarrow table, a scikit-learn Bunch, "
            "or a path or URI of parquet or CSV files",
        ),
        (
            pd.DataFrame({"a": []}),
            "table of 0 rows × 1 columns is empty: it has no rows\nNext step: pass a table with rows",
        ),
        (
            pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]),
            "column names are repeated: 'a'\nNext step: give each column a name of its own",
        ),
        (
            pd.DataFrame({"a": [1, 2], "o": [{}, 2]}),
            "column 'o' (object) holds values that cannot be stored in one column (dict, int): "
            "cannot mix struct and non-struct, non-null values\n"
            "Next step: turn them into one type, or drop the column",
        ),
        (
            pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]}),
            "column name ('a', 'b') is no text\nNext step: name the columns with text: frame.columns = [...]",
        ),
    ],
)
def test_what_is_no_usable_table_is_refused_with_a_next_step(source: object, expected: str) -> None:
    assert expected == refusal(source)


def test_one_column_is_refused_unless_no_features_are_needed(frame: pd.DataFrame) -> None:
    assert "has one column only, 'a'" in refusal(frame[["a"]])
    assert ("a",) == inspect(frame[["a"]], needs_features=False).column_names


# Targets


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("speces", "target 'speces' is not a column\nNext step: did you mean 'Species'?"),
        ("zzz", "target 'zzz' is not a column\nNext step: columns are 'Species', 'same', 'none', 'x'"),
        (
            "same",
            "target 'same' has one value only, 1: there is nothing to learn\n"
            "Next step: choose another target, or rows in which it varies",
        ),
        ("none", "target 'none' has no values, all are missing\nNext step: choose another target"),
    ],
)
@pytest.mark.parametrize("form", ["frame", "csv", "parquet"])
def test_a_target_that_cannot_be_learnt_is_refused(
    folder: Path, form: str, target: str, expected: str
) -> None:
    frame = pd.DataFrame({"Species": ["a", "b"], "same": [1, 1], "none": [None, float("nan")], "x": [1, 2]})
    frame.to_csv("t.csv", index=False)
    frame.to_parquet("t.parquet")
    source = frame if form == "frame" else f"t.{form}"
    text = refusal(source, target=target)
    assert expected == text.replace("'1'", "1")
    if form == "frame":
        with pytest.raises(InvalidDataset):
            check_target(frame, target)


def test_a_target_that_varies_is_accepted(frame: pd.DataFrame) -> None:
    check_target(frame, "b")
    check_target(inspect(frame), "b")


def test_a_nested_target_is_told_from_a_constant_one() -> None:
    check_target(inspect(pd.DataFrame({"a": [[1], [2]], "b": [1, 2]})), "a")


# Files


def test_files_are_referred_to_and_not_copied(storage: Storage, folder: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet("t.parquet")
    ref = inspect("t.parquet").store(storage)
    assert (None, str(folder / "t.parquet"), 10) == (ref.object, ref.uri, ref.rows)
    assert not os.path.exists(storage.url)
    pd.testing.assert_frame_equal(frame, load(ref, storage))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.TSV"])
def test_csv_files_are_read(storage: Storage, folder: Path, frame: pd.DataFrame, name: str) -> None:
    frame.to_csv(name, index=False, sep="\t" if "tsv" in name.lower() else ",")
    checked = inspect(Path(name))
    assert (10, name) == (checked.rows, checked.label)
    assert frame.to_dict("list") == load(checked.store(storage), storage).to_dict("list")


def test_a_folder_a_glob_and_a_file_uri_name_several_files(
    storage: Storage, folder: Path, frame: pd.DataFrame
) -> None:
    for name in ("1.parquet", "2.parquet", "_SUCCESS.parquet", ".hidden.parquet"):
        frame.to_parquet(name)
    Path("README.txt").write_text("no data")
    for source in (folder, str(folder / "[12].parquet"), f"file://{folder}"):
        checked = inspect(source)
        assert 20 == checked.rows
        assert 20 == len(load(checked.store(storage), storage))
        assert 12 == len(checked.sample(12))


def test_folders_named_as_hive_does_become_columns(
    storage: Storage, folder: Path, frame: pd.DataFrame
) -> None:
    for year, place in ((2020, "x"), (2021, "__HIVE_DEFAULT_PARTITION__")):
        target = folder / f"year={year}" / f"place={place}"
        target.mkdir(parents=True)
        frame.to_parquet(target / "part.parquet")
    checked = inspect(folder, target="year")
    assert ("a", "b", "year", "place") == checked.column_names
    loaded = load(checked.store(storage), storage)
    assert [2020] * 10 + [2021] * 10 == list(loaded["year"])
    assert [True] * 10 + [False] * 10 == list(loaded["place"].notna())


def test_a_csv_whose_later_rows_change_a_type_is_read_as_the_wider_type(
    storage: Storage, folder: Path
) -> None:
    Path("t.csv").write_text("a,b\n" + "1,2\n" * 1_200_000 + "1.5,x\n")
    checked = inspect("t.csv", target="a")
    assert 1_200_001 == checked.rows
    loaded = load(checked.store(storage), storage)
    assert (1.5, "x") == (loaded["a"].iloc[-1], loaded["b"].iloc[-1])


def test_a_csv_may_hold_line_breaks_in_quotes(storage: Storage, folder: Path) -> None:
    Path("t.csv").write_text('a,b\n1,"x\ny"\n2,z\n')
    assert ["x\ny", "z"] == list(load(inspect("t.csv").store(storage), storage)["b"])


def write_bad_files(folder: Path) -> None:
    frame = pd.DataFrame({"a": range(10), "b": list("xy") * 5})
    Path("ragged.csv").write_text("a,b,c\n" + "1,2,3\n" * 5 + "1,2,3,4\n1,2,3\n")
    Path("empty.csv").write_text("")
    Path("header.csv").write_text("a,b\n")
    Path("latin.csv").write_bytes("a,b\n1,café\n".encode("latin1"))
    Path("semicolon.csv").write_text("a;b\n1;2\n")
    Path("repeated.csv").write_text("a,b,a\n1,2,3\n")
    Path("cut.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 100)[:25])
    frame.to_parquet("good.parquet")
    whole = Path("good.parquet").read_bytes()
    Path("cut.parquet").write_bytes(whole[: len(whole) // 2])
    Path("no.parquet").write_bytes(b"")
    Path("thing.json").write_text("{}")
    for name in ("none", "mixed", "columns"):
        (folder / name).mkdir()
    frame.to_csv("mixed/1.csv")
    frame.to_parquet("mixed/2.parquet")
    frame.to_parquet("columns/1.parquet")
    frame.rename(columns={"b": "c"}).to_parquet("columns/2.parquet")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "ragged.csv",
            "'{}/ragged.csv' does not parse as CSV: row 7 (the header is row 1): Expected 3 columns",
        ),
        ("empty.csv", "'{}/empty.csv' is empty"),
        ("header.csv", "header.csv is empty: it has no rows"),
        ("latin.csv", "'{}/latin.csv' holds bytes that are no UTF-8 text, in column 'b'"),
        ("semicolon.csv", "semicolon.csv has one column only, 'a;b': nothing to predict it from"),
        ("repeated.csv", "column names are repeated: 'a'"),
        ("cut.csv.gz", "'{}/cut.csv.gz' cannot be read: "),
        ("cut.parquet", "'{}/cut.parquet' is truncated, corrupt or no parquet file: "),
        ("no.parquet", "'{}/no.parquet' is truncated, corrupt or no parquet file: "),
        ("thing.json", "the format of '{}/thing.json' is not known by its name"),
        ("none", "there are no data files at '{}/none'"),
        ("*.feather", "there are no data files at '{}/*.feather'"),
        ("mixed", "the files at '{}/mixed' have mixed formats: '1.csv' is csv and '2.parquet' is parquet"),
        ("columns", "'{}/columns/2.parquet' has other columns than '1.parquet'; they differ in 'b', 'c'"),
        ("god.parquet", "'{}/god.parquet' does not exist\nNext step: did you mean '{}/good.parquet'"),
        (
            "nowhere/t.csv",
            "'{}/nowhere/t.csv' does not exist, nor does its folder\nNext step: check the path",
        ),
        ("http://host/t.csv", "'http://host/t.csv' has a scheme that is not supported: 'http'"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(folder: Path, source: str, expected: str) -> None:
    write_bad_files(folder)
    text = refusal(source)
    assert text.startswith(expected.replace("{}", str(folder))), text
    assert "\nNext step: " in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(folder: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet("secret.parquet")
    Path("secret.parquet").chmod(0)
    assert "cannot be read: permission denied" in refusal("secret.parquet").lower()


# At the worker and in the job


def test_validate_finds_a_stored_table_that_is_gone_or_cut(storage: Storage, frame: pd.DataFrame) -> None:
    ref = inspect(frame).store(storage)
    validate(ref, target="b", storage=storage)
    (stored,) = Path(storage.url, "objects").glob("*/*")
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(CorruptObject):
        validate(ref, storage=storage)
    with pytest.raises(CorruptObject):
        load(ref, storage)
    stored.unlink()
    with pytest.raises(NotFound):
        validate(ref, storage=storage)


def test_files_that_change_after_the_launch_are_not_used(
    storage: Storage, folder: Path, frame: pd.DataFrame
) -> None:
    frame.to_csv("t.csv", index=False)
    ref = inspect("t.csv").store(storage)
    validate(ref, storage=storage)
    frame.assign(a=7).to_csv("t.csv", index=False)
    for use in (lambda: validate(ref, storage=storage), lambda: load(ref, storage)):
        with pytest.raises(InvalidDataset, match="have changed since the job was launched"):
            use()
    Path("t.csv").unlink()
    with pytest.raises(InvalidDataset, match="does not exist"):
        validate(ref, storage=storage)


def test_a_large_csv_is_read_to_its_end_by_the_worker(
    storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL_BYTES", 1000)
    Path("t.csv").write_text("a,b\n" + "1,2\n" * 3_000_000 + "1,2,3\n")
    checked = inspect("t.csv")
    assert -1 == checked.rows
    assert 10 == len(checked.sample(10))
    beats: list[None] = []
    with pytest.raises(
        InvalidDataset, match=r"row 3000002 \(the header is row 1\): Expected 2 columns, got 3"
    ):
        validate(checked.store(storage), storage=storage, beat=lambda: beats.append(None))
    assert len(beats) > 2


def test_validate_beats_while_it_reads(storage: Storage, folder: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet("t.parquet")
    beats: list[None] = []
    validate(
        inspect("t.parquet").store(storage), target="a", storage=storage, beat=lambda: beats.append(None)
    )
    assert len(beats) >= 2


def test_validate_refuses_a_target_that_is_not_there(storage: Storage, frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidDataset, match="target 'c' is not a column"):
        validate(inspect(frame).store(storage), target="c", storage=storage)


def test_a_script_gets_a_path_that_pandas_reads(storage: Storage, folder: Path, frame: pd.DataFrame) -> None:
    with local_path(inspect(frame).store(storage), storage) as path:
        assert path.endswith(".parquet")
        pd.testing.assert_frame_equal(frame, pd.read_parquet(path))
    frame.to_parquet("t.parquet")
    with local_path(inspect("t.parquet").store(storage), storage) as path:
        assert str(folder / "t.parquet") == path


def test_row_groups_stay_small(storage: Storage) -> None:
    ref = inspect(pd.DataFrame({"a": np.arange(300_000), "b": 1})).store(storage)
    assert ref.object is not None
    with storage.local_path(ref.object) as path:
        assert 3 == pq.ParquetFile(path).num_row_groups


def test_the_package_loads_neither_pandas_nor_pyarrow() -> None:
    import subprocess

    program = "import sys, mltemporal.dataset; print({'pandas', 'pyarrow', 'fsspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout


def test_an_empty_path_is_not_the_working_directory() -> None:
    with pytest.raises(InvalidDataset, match="the path of the dataset is empty"):
        inspect("")


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InvalidDataset, match="no file that can be read twice"):
        inspect(tmp_path / "pipe.csv")
