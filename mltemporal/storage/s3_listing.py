"""The objects below a prefix, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mltemporal.storage.s3_transfer import S3

PAGE_KEYS = 1000
"""The most that S3 tells at once."""


async def pages(
    call: S3, bucket: str, prefix: str, delimiter: str = ""
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the objects whose key starts with ``prefix``, a page at a time.

    With ``delimiter`` those with it in the rest of their key are passed over.
    """
    where: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": PAGE_KEYS}
    while True:
        page = await call("list_objects_v2", **where)
        yield page.get("Contents", [])
        if not page.get("IsTruncated"):
            return
        where["ContinuationToken"] = page["NextContinuationToken"]
