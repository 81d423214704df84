import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal.dataset.files import find_files
from mltemporal.errors import InvalidDataset
from mltemporal.profiling.sketches import SKETCH_COLUMNS, Sketch, SketchBuilder, merge, sketch
from mltemporal.specs.data import Column
from mltemporal.specs.encoding import decode, encode


def sketched(data, batch_rows=1000, **options):
    builder = SketchBuilder(**options)
    for batch in pa.table(data).to_batches(max_chunksize=batch_rows):
        builder.add(batch)
    return builder.sketch()


NUMBERS = {"n": np.arange(5000) * 0.1, "city": [f"city {row % 7}" for row in range(5000)]}


def test_a_small_table_is_kept_whole():
    found = sketched({"x": [1.5, None, float("nan")], "city": ["a", None, "b"], "flag": [True, None, False]})

    x, city, flag = found.columns
    assert (3, 2, 1, 1) == (found.rows, x.nulls, city.nulls, flag.nulls)
    assert {1.5, None} == set(x.numbers)
    assert (("a", "b"), {0, -1, 1}) == (city.values, set(city.codes))
    assert ("False", "True") == flag.values


def test_the_same_data_give_the_same_sketch_whatever_the_batches():
    assert sketched(NUMBERS, 1000, rows=100) == sketched(NUMBERS, 333, rows=100)


def test_another_seed_or_part_keeps_other_rows():
    first = sketched(NUMBERS, rows=100)
    assert first.keys != sketched(NUMBERS, rows=100, seed=1).keys
    assert first.columns[0].numbers != sketched(NUMBERS, rows=100, stream=1).columns[0].numbers


def test_the_rows_kept_are_a_fair_sample():
    kept = np.array(sketched(NUMBERS, rows=1000).columns[0].numbers)

    assert 1000 == len(kept)
    assert kept.mean() == pytest.approx(250, rel=0.05)
    assert [200, 200, 200, 200, 200] == pytest.approx(np.histogram(kept, 5, (0, 500))[0], rel=0.15)


def test_parts_merge_to_the_same_in_any_order():
    parts = [sketched(NUMBERS, rows=100, stream=index) for index in range(3)]

    merged = merge(parts)

    assert merged == merge(parts[::-1]) == merge([merge(parts[:2]), parts[2]])
    assert (15_000, 100, sorted(merged.keys)) == (merged.rows, len(merged.keys), list(merged.keys))
    assert set(merged.columns[1].values) <= {f"city {index}" for index in range(7)}


def test_an_empty_part_changes_nothing():
    part = sketched(NUMBERS, rows=100)
    assert part == merge([SketchBuilder().sketch(), part])


def test_parts_of_different_tables_are_refused():
    with pytest.raises(InvalidDataset, match=r"they differ in \['a', 'b'\]"):
        merge([sketched({"a": [1]}), sketched({"b": [1]})])


def test_numbers_keep_six_digits_and_integers_all():
    x, n, small = sketched({"x": [1 / 3], "n": [1_700_000_001], "small": [1.23456789e-310]}).columns
    assert (0.333333, 1_700_000_001.0) == (x.numbers[0], n.numbers[0])
    assert small.numbers[0] == pytest.approx(1.23456789e-310)


def test_long_texts_are_cut_and_rare_ones_are_others():
    found = sketched({"t": [*["x" * 500] * 5, *(f"name {row}" for row in range(2000))]}).columns[0]

    assert 500 == len(found.values)
    assert "x" * 80 == found.values[0]
    assert -2 in found.codes


def test_what_cannot_be_compared_is_left_out_and_named():
    wide = {"l": [[1]], **{f"c{i}": [i] for i in range(SKETCH_COLUMNS + 2)}}

    found = sketched(wide)

    assert ("l", "c200", "c201") == found.left_out
    assert (SKETCH_COLUMNS, 500) == (len(found.columns), found.limit)


def test_only_the_columns_asked_for_are_kept():
    asked = [Column(name="city", type="string")]
    assert ["city"] == [column.name for column in sketched(NUMBERS, columns=asked).columns]


def test_a_sketch_survives_json_and_is_small():
    found = sketched({f"c{i}": np.sin(np.arange(12_000) * (i + 1)) for i in range(20)})

    stored = encode(found)

    assert found == decode(stored, Sketch)
    assert len(stored) < 700_000


def test_files_are_sketched_shard_by_shard(tmp_path):
    table = pa.table(NUMBERS)
    pq.write_table(table.slice(0, 3000), tmp_path / "a.parquet")
    pq.write_table(table.slice(3000), tmp_path / "b.parquet")

    found = sketch(find_files(str(tmp_path)), rows=100)

    parts = [table.slice(0, 3000), table.slice(3000)]
    builders = [SketchBuilder(rows=100, stream=index) for index in range(2)]
    for builder, part in zip(builders, parts, strict=True):
        builder.add(part)
    assert merge(builder.sketch() for builder in builders) == found
