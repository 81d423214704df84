import pyarrow as pa
import pytest

from mltemporal.profiling.kinds import kind_of


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        (pa.int8(), "integer"),
        (pa.uint64(), "integer"),
        (pa.float16(), "number"),
        (pa.float64(), "number"),
        (pa.decimal128(12, 2), "number"),
        (pa.string(), "text"),
        (pa.large_string(), "text"),
        (pa.string_view(), "text"),
        (pa.dictionary(pa.int32(), pa.string()), "text"),
        (pa.dictionary(pa.int8(), pa.int64()), "integer"),
        (pa.bool_(), "boolean"),
        (pa.date32(), "date"),
        (pa.timestamp("us", "Europe/Berlin"), "timestamp"),
        (pa.time32("s"), "other"),
        (pa.list_(pa.int64()), "other"),
        (pa.binary(), "other"),
        (pa.null(), "other"),
    ],
)
def test_arrows_name_of_a_type_tells_the_kind(type, expected):
    assert expected == kind_of(str(type))
