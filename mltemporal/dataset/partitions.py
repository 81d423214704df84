"""Columns that folder names give: ``key=value``, as Hive and Spark write them."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from typing import Any

_PARTITION = re.compile(r"(\w+)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def partition_columns(uri: str, paths: Sequence[str]) -> dict[str, list[Any]]:
    """Return the columns that the folders below ``uri`` give: a value for each of ``paths``.

    Integers where all values of a column are, else text; None where a folder says that there is none.
    """
    base = uri.split("/")
    depth = next((i for i, part in enumerate(base) if glob.has_magic(part)), len(base))
    found = [
        {part[1]: part[2] for part in map(_PARTITION.fullmatch, path.split("/")[depth:-1]) if part}
        for path in paths
    ]
    columns: dict[str, list[Any]] = {}
    for name in found[0]:
        values = [None if (value := one.get(name, _NO_VALUE)) == _NO_VALUE else value for one in found]
        whole = all(value is None or re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values)
        columns[name] = [int(value) if value is not None and whole else value for value in values]
    return columns


def partition_field(name: str, values: Sequence[Any]) -> Any:
    """Return the arrow field of such a column."""
    import pyarrow as pa

    return pa.field(name, pa.int64() if any(isinstance(value, int) for value in values) else pa.string())
