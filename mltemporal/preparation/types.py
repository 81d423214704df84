"""Names of types: what people write, what DuckDB says, and what arrow calls a column's."""

from __future__ import annotations

import re
from typing import Any

from mltemporal.preparation.naming import unknown

_SQL = {
    **{
        f"int{bits}": name
        for bits, name in ((8, "TINYINT"), (16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"))
    },
    **{
        f"uint{bits}": f"U{name}"
        for bits, name in ((8, "TINYINT"), (16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"))
    },
    **dict.fromkeys(("int", "integer", "bigint", "long"), "BIGINT"),
    **dict.fromkeys(("float32", "real"), "FLOAT"),
    **dict.fromkeys(("float", "float64", "double", "number"), "DOUBLE"),
    **dict.fromkeys(("str", "string", "text", "varchar", "object", "category", "large_string"), "VARCHAR"),
    **dict.fromkeys(("bool", "boolean", "bool_"), "BOOLEAN"),
    **dict.fromkeys(("date", "date32", "date32[day]"), "DATE"),
    **dict.fromkeys(("datetime", "timestamp", "datetime64", "datetime64[us]", "timestamp[us]"), "TIMESTAMP"),
    **dict.fromkeys(("datetime64[ns]", "timestamp[ns]"), "TIMESTAMP_NS"),
    **dict.fromkeys(("datetime64[ms]", "timestamp[ms]"), "TIMESTAMP_MS"),
    **dict.fromkeys(("datetime64[s]", "timestamp[s]"), "TIMESTAMP_S"),
    **dict.fromkeys(("timestamptz", "timestamp[us, tz=utc]", "datetime64[us, utc]"), "TIMESTAMPTZ"),
    **dict.fromkeys(("time", "time64[us]"), "TIME"),
}
_DECIMAL = re.compile(r"(?:decimal|decimal128|numeric)\((\d{1,2}), ?(\d{1,2})\)")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_FLOATS = ("FLOAT", "DOUBLE")


def sql_type(name: str, where: str) -> str:
    """Return DuckDB's name of a type that a person named.

    Raises:
        InvalidRequest: there is no such type; ``where`` says which step.
    """
    plain = name.strip().lower()
    if found := _DECIMAL.fullmatch(plain):
        return f"DECIMAL({found[1]}, {found[2]})"
    if plain not in _SQL:
        raise unknown(f"{where}: {name!r} is not a type", plain, sorted(_SQL))
    return _SQL[plain]


def is_float(type_: str) -> bool:
    """Whether values can be NaN."""
    return type_ in _FLOATS


def is_number(type_: str) -> bool:
    """Whether a mean makes sense; booleans count as text."""
    return is_float(type_) or type_.removeprefix("U") in _INTEGERS or type_.startswith("DECIMAL")


def is_moment(type_: str) -> bool:
    """Whether values have an order in time, numbers included."""
    return is_number(type_) or type_ == "DATE" or type_.startswith("TIMESTAMP")


def is_nested(type_: str) -> bool:
    """Whether a value has parts."""
    return type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION"))


def arrow_type(name: str) -> Any | None:
    """Return the arrow type of a `Column.type`; None where its name does not tell it all."""
    import pyarrow as pa

    if found := re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", name):
        make = (
            {"32": pa.decimal32, "64": pa.decimal64, "128": pa.decimal128, "256": pa.decimal256}[found[1]]
            if hasattr(pa, "decimal32")
            else {"128": pa.decimal128, "256": pa.decimal256}[found[1]]
        )
        return make(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", name):
        return pa.timestamp(found[1], found[2])
    if found := re.fullmatch(r"dictionary<values=(.+), indices=\w+, ordered=\d>", name):
        return arrow_type(found[1])
    if found := re.fullmatch(r"(?:large_)?list<\w+: (.+)>", name):
        inner = arrow_type(found[1])
        return None if inner is None else pa.list_(inner)
    names = {"date32[day]": "date32", "date64[ms]": "date64", "float": "float32", "halffloat": "float16"}
    try:
        return pa.type_for_alias(names.get(name, name))
    except ValueError:
        return None
