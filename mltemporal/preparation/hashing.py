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

Numbers = np.ndarray[Any, np.dtype[np.uint64]]
_CHUNK = 8192
"""Rows at a time, so that what is computed on stays in the processor's cache."""
_HALF = np.uint64(32)
_MISSING = np.uint64(0x9AE16A3B2F90404F)
_LENGTH = np.uint64(0xC2B2AE3D27D4EB4F)
_POWERS = np.cumprod(np.array([1, *[0x9E3779B97F4A7C15] * 4095], dtype=np.uint64))
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
"""Masks, by how many of a word's bytes count."""


def row_hash(table: Any, names: Sequence[str], seed: int) -> Numbers:
    """Return a 64-bit hash of each row's values in the columns ``names``, in whatever order these are."""
    factors = {name: _factor(name) for name in sorted(names)}
    start = mixed(np.array([seed], dtype=np.uint64))[0]
    hashes = [np.empty(0, dtype=np.uint64)]
    for batch in table.select(list(factors)).to_batches(max_chunksize=_CHUNK):
        sums = np.full(batch.num_rows, start, dtype=np.uint64)
        for column, factor in zip(batch.columns, factors.values(), strict=True):
            sums += _numbers(column) * factor
        hashes.append(mixed(sums))
    return np.concatenate(hashes)


def mixed(numbers: Numbers) -> Numbers:
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


def _numbers(array: Any) -> Numbers:
    """Return a number for each value; small ones must differ in their lower bits, which a factor spreads."""
    import pyarrow as pa
    import pyarrow.types as kinds

    type_ = array.type
    if kinds.is_dictionary(type_):
        array, type_ = array.dictionary_decode(), type_.value_type
    if kinds.is_null(type_):
        return np.full(len(array), _MISSING, dtype=np.uint64)
    numbers: Numbers
    if kinds.is_boolean(type_) or kinds.is_integer(type_):
        numbers = _filled(array.cast(pa.int64(), safe=False), 0).view(np.uint64)
    elif kinds.is_floating(type_) or kinds.is_decimal(type_):
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
        numbers = np.where(array.is_null().to_numpy(zero_copy_only=False), _MISSING, numbers)
    return numbers


def _filled(array: Any, value: Any) -> Any:
    return (array.fill_null(value) if array.null_count else array).to_numpy(zero_copy_only=False)


def _of_floats(values: Any) -> Numbers:
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    bits = values.view(np.uint64)
    numbers: Numbers = np.where(whole == values, whole.view(np.uint64), bits ^ (bits >> _HALF))
    missing = values != values  # noqa: PLR0124 (NaN)
    numbers[missing] = _MISSING
    return numbers


def _of_times(array: Any) -> Numbers:
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
    numbers: Numbers = _filled(array.view(pa.int64()), 0).view(np.uint64)
    return numbers


def _of_bytes(array: Any, offsets_of: type) -> Numbers:
    """Words of eight bytes as digits of a number to an odd base, modulo 2**64, and the length."""
    _, places, content = array.buffers()
    ends = np.frombuffer(places, dtype=offsets_of)[array.offset : array.offset + len(array) + 1].astype(
        np.int64
    )
    lengths = np.diff(ends)
    numbers = lengths.astype(np.uint64)
    numbers *= _LENGTH
    if content is None or ends[0] == ends[-1]:
        return numbers
    text = np.zeros(ends[-1] - ends[0] + 8, dtype=np.uint8)
    text[:-8] = np.frombuffer(content, dtype=np.uint8)[ends[0] : ends[-1]]
    words_at = np.ndarray((len(text) - 7,), dtype="<u8", buffer=text, strides=(1,))  # one begins at each byte
    starts = ends[:-1] - ends[0]
    if lengths.max() <= 8:
        words = words_at[starts] & _FIRST_BYTES[lengths]
        numbers += words ^ (words >> _HALF)
        return numbers
    counts = (lengths + 7) >> 3
    last = np.cumsum(counts)
    place = np.arange(last[-1]) - np.repeat(last - counts, counts)
    left = np.repeat(lengths, counts) - 8 * place
    words = words_at[np.repeat(starts, counts) + 8 * place] & _FIRST_BYTES[np.minimum(left, 8)]
    words ^= words >> _HALF
    words *= _POWERS[place & 4095]
    sums = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(words, out=sums[1:])
    numbers += sums[last] - sums[last - counts]
    return numbers
