"""Data files in S3: found by the pages of a listing, opened without a copy."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mltemporal.storage.s3_transfer import S3


class Found(NamedTuple):
    """An object, and what tells whether it has changed."""

    url: str
    size_bytes: int
    etag: str


def find(uri: str, is_data: Callable[[str], bool]) -> list[Found]:
    """Return the objects that ``uri`` (one object, a folder or a glob) stands for, ordered by their keys.

    In a folder only those whose path in it ``is_data``; the others are dropped page by page.

    Raises:
        PlaceError: S3 refused or did not answer.
    """
    from mltemporal.storage import s3

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if glob.has_magic(key):
        return s3.call(_matching, bucket, key)
    return s3.call(_at, bucket, key, is_data)


async def _at(call: S3, bucket: str, key: str, is_data: Callable[[str], bool]) -> list[Found]:
    if key:  # of all the keys that start with it, the shortest is listed first
        first = (await call("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)).get("Contents", [])
        if [key] == [entry["Key"] for entry in first]:
            return [_found(bucket, entry) for entry in first]
    folder = f"{key}/" if key else ""
    return await _listed(call, bucket, folder, "", lambda name: is_data(name.removeprefix(folder)))


async def _matching(call: S3, bucket: str, pattern: str) -> list[Found]:
    from fsspec.utils import glob_translate

    start = re.split(r"[*?[]", pattern, maxsplit=1)[0]
    delimiter = "" if "/" in pattern[len(start) :] else "/"  # or everything in deeper folders would be listed
    matches = re.compile(glob_translate(pattern)).match

    def wanted(name: str) -> bool:
        hidden = "/." in (start[-1:] or "/") + name[len(start) :]  # as for local files
        return not hidden and bool(matches(name))

    return await _listed(call, bucket, start, delimiter, wanted)


async def _listed(
    call: S3, bucket: str, prefix: str, delimiter: str, wanted: Callable[[str], bool]
) -> list[Found]:
    from mltemporal.storage.s3_listing import pages

    return [
        _found(bucket, entry)
        async for page in pages(call, bucket, prefix, delimiter)
        for entry in page
        if wanted(entry["Key"]) and not entry["Key"].endswith("/")
    ]


def _found(bucket: str, entry: dict[str, Any]) -> Found:
    return Found(f"s3://{bucket}/{entry['Key']}", int(entry["Size"]), str(entry.get("ETag", "")))
