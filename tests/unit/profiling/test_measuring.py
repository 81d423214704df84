"""What a profile says of real files."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal.dataset.files import find_files
from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.profiling import measuring
from mltemporal.profiling.measuring import profile
from mltemporal.profiling.profiles import Profile, Top
from mltemporal.specs.encoding import decode, encode

NAN = float("nan")


@pytest.fixture
def profiled(tmp_path):
    """Return the profile of a table of ``columns``, by way of a parquet file."""

    def of(columns, **options):
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table(columns), path)
        return profile(find_files(str(path)), **options)

    return of


def column(found, name):
    return next(each for each in found.columns if each.name == name)


def test_numbers_are_counted_and_summed(profiled):
    found = profiled({"x": [1.0, 2.0, 3.0, 4.0, None, NAN]})

    x = column(found, "x")
    assert 6 == found.rows
    assert ("double", "number") == (x.type, x.kind)
    assert (2, 4, False) == (x.nulls, x.distinct, x.approximate)
    assert (1.0, 4.0, 2.5) == (x.minimum, x.maximum, x.mean)
    assert x.std == pytest.approx(1.29099)
    assert (1.15, 1.75, 2.5, 3.25, 3.85) == x.quantiles
    assert 20 == len(x.histogram.counts)
    assert 4 == sum(x.histogram.counts)


def test_whole_numbers_of_a_small_range_have_a_bar_each(profiled):
    found = profiled({"n": [1, 1, 2, 4]})

    n = column(found, "n")
    assert (0.5, 4.5, (2, 1, 0, 1)) == (n.histogram.low, n.histogram.high, n.histogram.counts)
    assert (Top(value="1", count=2), Top(value="2", count=1), Top(value="4", count=1)) == n.top


def test_large_integers_stay_exact(profiled):
    found = profiled({"n": pa.array([2**63 + 5, 1], pa.uint64())})
    assert (1, 2**63 + 5) == (column(found, "n").minimum, column(found, "n").maximum)


def test_infinite_numbers_spoil_nothing(profiled):
    found = profiled({"x": [1.0, 2.0, 3.0, float("inf"), -1e308]})

    x = column(found, "x")
    assert (2, 1.0, 3.0, 2.0) == (x.infinite, x.minimum, x.maximum, x.mean)
    assert ("'x' has infinite values",) == found.warnings


def test_an_outlier_does_not_flatten_the_histogram(profiled):
    found = profiled({"x": [*map(float, range(100)), 1e9]})
    assert column(found, "x").histogram.high < 250


def test_texts_and_booleans_have_frequent_values(profiled):
    found = profiled(
        {"city": ["b", "a", "b", None, "x" * 300], "flag": pa.array([True, True, False, None, True])}
    )

    city, flag = column(found, "city"), column(found, "flag")
    assert ("b", 2) == (city.top[0].value, city.top[0].count)
    assert "x" * 79 + "…" == city.top[2].value
    assert (3, True) == (city.distinct, city.approximate)
    assert (Top(value="True", count=3), Top(value="False", count=1)) == flag.top


def test_dates_and_times_are_iso_text(profiled):
    days = [datetime.date(2020, 1, 31), datetime.date(2021, 2, 28), None]
    moments = pa.array([1577854800, None, None], pa.timestamp("s")).cast(pa.timestamp("ns"))
    zoned = pa.array([1577836800000, None, None], pa.timestamp("ms", "Europe/Berlin"))

    found = profiled({"day": days, "moment": moments, "zoned": zoned})

    assert ("2020-01-31", "2021-02-28") == (column(found, "day").minimum, column(found, "day").maximum)
    assert "2020-01-01T05:00:00" == column(found, "moment").minimum
    assert "2020-01-01T00:00:00+00:00" == column(found, "zoned").minimum
    assert column(found, "day").histogram.low < column(found, "day").histogram.high


def test_lists_bytes_and_columns_without_a_type_are_only_counted(profiled):
    found = profiled({"l": [[1], None], "b": [b"x", b"y"], "nothing": pa.nulls(2)})

    assert [(1, None), (0, None), (2, None)] == [(each.nulls, each.distinct) for each in found.columns]
    assert ("'nothing' has no values at all",) == found.warnings


def test_duplicates_of_whole_rows_are_counted(profiled):
    found = profiled({"a": [1, 1, 1, 2], "b": ["x", "x", "y", "x"]})

    assert 1 == found.duplicates
    assert "1 of 4 rows are duplicates of others" in found.warnings


def test_a_table_without_rows_has_a_profile(profiled):
    found = profiled({"a": pa.array([], pa.int64()), "t": pa.array([], pa.string())})
    assert (0, ("the table has no rows",)) == (found.rows, found.warnings)


def test_a_profile_survives_json(profiled):
    found = profiled({"a": [1.5, None], "t": ["x", "y"], "d": [datetime.date(1, 1, 1)] * 2}, target="t")
    assert found == decode(encode(found), Profile)


def test_names_that_differ_in_case_only_are_two_columns(profiled):
    found = profiled({"A": [1, 2], "a": ["x", "x"]})
    assert [("A", 2), ("a", 1)] == [(each.name, each.distinct) for each in found.columns]


def test_odd_paths_and_names_are_no_sql(tmp_path):
    path = tmp_path / "it's [1] *.parquet"
    pq.write_table(pa.table({"a\"'\n": [1, 2]}), path)
    quoted = tmp_path / "it's.parquet"
    pq.write_table(pa.table({"a\"'\n": [1, 2]}), quoted)

    assert ["a\"'\n"] * 2 == [profile(find_files(str(each))).columns[0].name for each in (path, quoted)]


def test_csv_files_have_the_types_and_values_that_a_training_gets(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('id,when,x,name\n1,2020-01-01,1.5,"a,\nb"\n2,NA,nan,c\n3,2021-01-01,2,\n')

    found = profile(find_files(str(path)))

    assert ["int64", "date32[day]", "double", "string"] == [each.type for each in found.columns]
    assert [0, 1, 1, 1] == [each.nulls for each in found.columns]
    assert (3, 3) == (found.rows, found.sampled)


def test_folder_names_are_columns(tmp_path):
    for year, place in (("2020", "a b"), ("2021", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"year={year}" / f"place={place}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"v": [1.5, 2.5]}), folder / "part.parquet")

    found = profile(find_files(str(tmp_path)))

    assert ["v", "year", "place"] == [each.name for each in found.columns]
    assert (2020, 2021) == (column(found, "year").minimum, column(found, "year").maximum)
    assert (2, (Top(value="a b", count=2),)) == (column(found, "place").nulls, column(found, "place").top)


def test_files_whose_types_do_not_go_together_are_refused(tmp_path):
    pq.write_table(pa.table({"v": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"v": ["x"]}), tmp_path / "b.parquet")

    with pytest.raises(InvalidDataset, match="'v' is int64 in the first file and text in another"):
        profile(find_files(str(tmp_path)))


def test_a_row_that_does_not_parse_is_told_in_our_words(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")

    with pytest.raises(InvalidDataset, match="row 3"):
        profile(find_files(str(path)))


def test_bytes_that_were_damaged_are_told(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"x": [str(i) for i in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    data[100:4000] = bytes(3900)
    path.write_bytes(data)

    with pytest.raises(InvalidDataset, match="could not be read"):
        profile(find_files(str(path)))


def test_too_little_memory_is_told(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({f"c{i}": range(50_000) for i in range(10)}), path)

    with pytest.raises(InvalidRequest, match="takes more memory"):
        profile(find_files(str(path)), memory_mib=1)


def test_an_exception_of_the_beat_ends_the_work(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"x": [1]}), path)

    def beat():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile(find_files(str(path)), beat=beat)


@pytest.fixture
def few_rows_sampled(monkeypatch):
    monkeypatch.setattr(measuring, "_SAMPLE_ROWS", 500)
    monkeypatch.setattr(measuring, "_LEAST_ROWS", 500)


ROWS = 20_000
LARGE = {
    "n": [row * 7919 % ROWS for row in range(ROWS)],
    "kind": ["rare" if row % 100 == 0 else "usual" for row in range(ROWS)],
    "name": [f"name {row // 4}" for row in range(ROWS)],
}


@pytest.mark.usefixtures("few_rows_sampled")
@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_of_many_rows_a_sample_is_enough(tmp_path, format):
    path = tmp_path / f"data.{format}"
    table = pa.table(LARGE)
    pq.write_table(table, path) if format == "parquet" else table.to_pandas().to_csv(path, index=False)

    found, again = (profile(find_files(str(path))) for _ in range(2))

    assert found == again
    assert ROWS == found.rows
    assert 400 < found.sampled < 600
    n, kind, name = found.columns
    assert (0, ROWS - 1, 0) == (n.minimum, n.maximum, n.nulls)
    assert n.quantiles[2] == pytest.approx(ROWS / 2, rel=0.2)
    assert sum(n.histogram.counts) == pytest.approx(ROWS, rel=0.01)
    assert (Top(value="usual", count=19_800), Top(value="rare", count=200)) == kind.top
    assert (2, False) == (kind.distinct, kind.approximate)
    assert name.distinct == pytest.approx(5000, rel=0.2)
    assert name.approximate


def test_hundreds_of_columns_are_counted_in_parts(profiled):
    found = profiled({f"c{i}": [float(i), 0.0, 0.5] for i in range(230)})

    assert [f"c{i}" for i in range(230)] == [each.name for each in found.columns]
    assert 229.0 == found.columns[229].maximum
    assert len(encode(found)) < 230 * 500


def id_like(rows):
    return list(range(1000, 1000 + rows))


CLASSES = ["a", "b"] * 50
SUSPICIONS = [
    ({"y": [*CLASSES[:99], None]}, "the target 'y' is missing in 1 of 100 rows"),
    ({"y": ["a"] * 100}, "the target 'y' has one value only: there is nothing to learn"),
    ({"y": [f"t{i}" for i in range(100)]}, "the target 'y' has another value in each row, as an id does"),
    (
        {"y": ["a", *["b"] * 150, *["c"] * 49]},
        "classes of the target 'y' that stand in less than 1 % of the rows: 'a' (1 rows)",
    ),
    ({"y": CLASSES, "f": CLASSES}, "'f' equals the target 'y' in every row: a leak?"),
    (
        {"y": CLASSES, "f": [{"a": 7, "b": 3}[each] for each in CLASSES]},
        "'f' tells the target 'y' in nearly every row: a leak?",
    ),
    (
        {
            "y": [i * 0.37 % 11 for i in range(100)],
            "f": [3 * (i * 0.37 % 11) for i in range(100)],
        },
        "'f' follows the target 'y' almost exactly (correlation 1.0000): a leak?",
    ),
    ({"y": CLASSES, "f": id_like(100)}, "'f' has another value in each row, as an id does"),
    ({"y": CLASSES, "f": [1] * 100}, "'f' has one value only: nothing can be learnt from it"),
]


@pytest.mark.parametrize(("columns", "sentence"), SUSPICIONS)
def test_what_is_suspicious_is_said(profiled, columns, sentence):
    assert sentence in profiled(columns, target="y").warnings


def test_a_row_that_stands_twice_does_not_hide_an_id(profiled):
    found = profiled({"id": [*id_like(100), 1000], "x": [*([0.5, 1.5] * 50), 0.5]})
    assert "'id' has another value in each row, as an id does" in found.warnings


def test_a_good_table_raises_no_suspicion(profiled):
    rows = range(200)
    found = profiled(
        {
            "y": [("yes", "no")[row * 7 % 13 < 6] for row in rows],
            "number": [row * 37 % 101 * 0.5 for row in rows],
            "measured": [row * 7919 % 100_003 for row in rows],
            "city": [("rome", "oslo", "bern")[row * 5 % 7 % 3] for row in rows],
            "flag": [row % 5 < 2 for row in rows],
        },
        target="y",
    )
    assert () == found.warnings


def test_many_columns_are_named_shortly(profiled):
    found = profiled({f"c{i}": [1, 1] for i in range(12)})
    assert "'c7' and 4 more columns have one value only" in found.warnings[0]
