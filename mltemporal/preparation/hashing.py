"""A hash of a row's values that stays the same: over versions, files, batches and types of a column.

It decides on which side of a split a row is, so it must not be an engine's own, which a new version may
change. Each column's values become 64-bit numbers, which are added up with a factor of the column's name
and then mixed by splitmix64. A whole number hashes the same as integer and as float: appended data may
make fractions of a column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_CHUNK = 8192
"""Rows at a time, so that what is computed on stays in the processor's cache."""
_MISSING = np.uint64(0x9AE16A3B2F90404F)
_POWERS = np.cumprod(np.full(4096, 0x9E3779B97F4A7C15, dtype=np.uint64))


def row_hash(table: Any, names: Sequence[str], seed: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a 64-bit hash of each row's values in the columns ``names``, in whatever order these are."""
    factors = {name: _factor(name) for name in sorted(names)}
    start = mixed(np.array([seed], dtype=np.uint64))[0]
    hashes = np.full(table.num_rows, start, dtype=np.uint64)
    for name, factor in factors.items():
        done = 0
        for chunk in table.column(name).chunks:
            for at in range(0, len(chunk), _CHUNK):
                values = _numbers(chunk.slice(at, _CHUNK))
                values ^= values >> np.uint64(32)  # a double's information is in its upper bits
                values *= factor
                hashes[done : done + len(values)] += values
                done += len(values)
    return mixed(hashes)


def mixed(numbers: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return splitmix64 of each number."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def text_hash(text: str) -> int:
    """Return a 64-bit hash of text."""
    return int.from_bytes(
        hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little"
    )


def _factor(name: str) -> np.uint64:
    return np.uint64(text_hash(name) | 1)


def _numbers(array: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a number for each value, as a new array."""
    import pyarrow as pa
    import pyarrow.types as kinds

    type_ = array.type
    if kinds.is_dictionary(type_):
        array, type_ = array.dictionary_decode(), type_.value_type
    if kinds.is_null(type_):
        return np.full(len(array), _MISSING, dtype=np.uint64)
    if kinds.is_boolean(type_) or kinds.is_integer(type_):
        numbers = _filled(array.cast(pa.int64(), safe=False), 0).view(np.uint64).copy()
    elif kinds.is_floating(type_):
        return _of_floats(_filled(array.cast(pa.float64()), np.nan))
    elif (
        kinds.is_date(type_) or kinds.is_timestamp(type_) or kinds.is_time(type_) or kinds.is_duration(type_)
    ):
        numbers = _of_times(array)
    elif kinds.is_string(type_) or kinds.is_binary(type_):
        numbers = _of_bytes(array, np.int32)
    elif kinds.is_large_string(type_) or kinds.is_large_binary(type_):
        numbers = _of_bytes(array, np.int64)
    else:
        numbers = _of_bytes(
            pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.string()), np.int32
        )
    if array.null_count:
        numbers[array.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    return numbers


def _filled(array: Any, value: Any) -> Any:
    return (array.fill_null(value) if array.null_count else array).to_numpy(zero_copy_only=False)


def _of_floats(values: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    numbers = np.where(whole == values, whole.view(np.uint64), values.view(np.uint64))
    missing = values != values  # noqa: PLR0124 (NaN)
    numbers[missing] = _MISSING
    return numbers


def _of_times(array: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Microseconds, whatever the unit: of the epoch, of the day, or as such."""
    import pyarrow as pa
    import pyarrow.types as kinds

    type_ = array.type
    if kinds.is_time(type_):
        array = array.cast(pa.time64("us"), safe=False)
    elif kinds.is_duration(type_):
        array = array.cast(pa.duration("us"), safe=False)
    else:
        array = array.cast(pa.timestamp("us", getattr(type_, "tz", None)), safe=False)
    numbers: np.ndarray[Any, np.dtype[np.uint64]] = _filled(array.view(pa.int64()), 0).view(np.uint64).copy()
    return numbers


def _of_bytes(array: Any, offsets_of: type) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The bytes as digits of a number to an odd base, modulo 2**64, each from its own place on."""
    _, places, content = array.buffers()
    ends = np.frombuffer(places, dtype=offsets_of)[array.offset : array.offset + len(array) + 1].astype(
        np.int64
    )
    if content is None or ends[0] == ends[-1]:
        return np.zeros(len(array), dtype=np.uint64)
    digits = np.frombuffer(content, dtype=np.uint8)[ends[0] : ends[-1]].astype(np.uint64)
    ends -= ends[0]
    lengths = np.diff(ends)
    places_in_text = np.arange(len(digits)) - np.repeat(ends[:-1], lengths)
    digits += np.uint64(1)
    digits *= _POWERS[places_in_text & 4095]
    sums = np.zeros(len(digits) + 1, dtype=np.uint64)
    np.cumsum(digits, out=sums[1:])
    numbers: np.ndarray[Any, np.dtype[np.uint64]] = sums[ends[1:]] - sums[ends[:-1]]
    return numbers
