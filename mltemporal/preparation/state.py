"""What a step has learnt from the rows."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from mltemporal.specs.data import ObjectRef


@dataclass(frozen=True, kw_only=True)
class State:
    """Plain values, and a reference to what is larger."""

    values: dict[str, Any] = field(default_factory=dict)
    """By column: the value that fills, the categories in order, centre and spread, the type of what is
    derived; of a split by time ``from``."""
    grouped: tuple[str, ...] = ()
    """Encoded columns whose rarer categories share one code."""
    schema: str = ""
    """What a function or a transformer returns, as `packed`."""
    object: ObjectRef | None = None
    """The fitted transformer; or a parquet table by shard: the rows that a `drop_duplicates` drops, or how
    many rows of each class stand before the shard."""


def packed(schema: Any) -> str:
    """Return an arrow schema as text."""
    return base64.b64encode(schema.serialize()).decode()


def unpacked(text: str) -> Any:
    """Return the arrow schema that `packed` wrote."""
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))
