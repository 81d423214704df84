"""Columns that fit a model, and columns that do not."""

import pyarrow as pa
import pytest

from mltemporal.dataset.schema import Retyped, SchemaDifferences, check_schema, differences, kind_of
from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import Column


def columns(**types: pa.DataType) -> tuple[Column, ...]:
    return tuple(Column(name=name, type=str(kind)) for name, kind in types.items())


TRAINED = columns(age=pa.int64(), city=pa.string(), y=pa.float64())


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("number", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2)]),
        ("text", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]),
        ("number", [pa.dictionary(pa.int8(), pa.int64())]),
        ("boolean", [pa.bool_()]),
        ("date", [pa.date32(), pa.date64()]),
        ("timestamp", [pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin")]),
        ("time", [pa.time32("s"), pa.time64("ns")]),
        ("duration", [pa.duration("ns")]),
        ("binary", [pa.binary(), pa.large_binary(), pa.binary(4)]),
        ("nested", [pa.list_(pa.int64()), pa.struct([("x", pa.string())])]),
        ("nothing", [pa.array([None]).type]),
    ],
)
def test_arrows_types_have_a_kind(kind: str, types: list[pa.DataType]) -> None:
    assert [kind] * len(types) == [kind_of(str(each)) for each in types]


def test_what_is_missing_extra_and_retyped_is_named() -> None:
    found = columns(city=pa.int64(), y=pa.string(), country=pa.string())
    expected = SchemaDifferences(
        missing=("age",),
        extra=("country",),
        retyped=(Retyped(name="city", expected="string", found="int64"),),
    )
    assert expected == differences(TRAINED, found, target="y")


def test_fractions_categories_and_columns_without_values_are_no_other_kind() -> None:
    found = columns(age=pa.float32(), city=pa.dictionary(pa.int32(), pa.string()), zip=pa.string())
    assert ("zip",) == check_schema(TRAINED, found, target="y").extra
    assert check_schema(TRAINED, columns(age=pa.null(), city=pa.null()), target="y").harmless


def test_a_table_that_does_not_fit_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(InvalidDataset) as caught:
        check_schema(TRAINED, columns(Age=pa.int64(), city=pa.bool_()), target="y")
    assert (
        "the dataset has not the columns that the model was trained on: it lacks 'age'; "
        "'city' is boolean (bool) and was text (string)\nNext step: rename 'Age' to 'age', and "
        "cast the columns that are of another kind, for example by preprocess()"
    ) == str(caught.value)


def test_only_the_features_matter_where_they_are_known() -> None:
    assert check_schema(TRAINED, columns(age=pa.int64()), target="y", features=("age",)).harmless
    with pytest.raises(InvalidDataset, match="lacks 'derived'"):
        check_schema(TRAINED, columns(age=pa.int64()), target="y", features=("age", "derived"))
