"""What a crash in the middle of a write left in a store, and how it is removed.

Only what bears the names that our own writers give, in the folders that they use: a store's root may
hold things of other people's.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mltemporal.errors import ServiceUnavailable
from mltemporal.storage import s3
from mltemporal.storage.places import PlaceError
from mltemporal.storage.s3_transfer import S3

GRACE_S = 86_400.0
"""What nobody has written to for a day is written to no more: an upload may take hours, not days."""

_INCOMING = re.compile(r"(tmp|\.new-)[A-Za-z0-9_]{8}")
"""Names that `folder.Folder` and `content.Storage.writing` give to what is on its way."""
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.new")
"""Names that `output.Output.writing` gives to it; a test holds each of the three against its writer."""
_OUTPUTS = ("datasets", "predictions")
"""Where jobs write that were given no folder of their own. In people's own folders nothing is removed."""


def sweep(url: str, *, older_than_s: float = GRACE_S) -> list[str]:
    """Remove what is half-written and was not written to lately; returns what, each by its name.

    Idempotent; of two at once, each file is somebody's.

    Raises:
        ServiceUnavailable: the store does not answer, or refuses.
    """
    before = time.time() - older_than_s
    try:
        if url.startswith("s3://"):
            bucket, _, prefix = url.removeprefix("s3://").partition("/")
            prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
            return [
                name
                for folder in ("objects", *_OUTPUTS)
                for name in s3.call(_abort_uploads, bucket, f"{prefix}{folder}/", before)
            ]
        root = Path(url)
        return [
            *_remove_incoming(root / "incoming", before),
            *(name for folder in _OUTPUTS for name in _remove_unfinished(root, folder, before)),
        ]
    except PlaceError as error:
        raise ServiceUnavailable(
            f"what is half-written in {url!r} cannot be removed: {error}", error.next_step
        ) from error
    except OSError as error:
        raise ServiceUnavailable(
            f"what is half-written in {url!r} cannot be removed: {error}", "check permissions"
        ) from error


def _remove_incoming(folder: Path, before: float) -> list[str]:
    removed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # it was moved into place, or another monitor was quicker
            if not _INCOMING.fullmatch(path.name) or _written_at(path) >= before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(f"incoming/{path.name}")
    return removed


def _remove_unfinished(root: Path, folder: str, before: float) -> list[str]:
    removed = []
    for where, _, names in os.walk(root / folder):
        for name in sorted(filter(_UNFINISHED.fullmatch, names)):
            path = Path(where) / name
            with suppress(FileNotFoundError):
                if _written_at(path) < before:
                    path.unlink()
                    removed.append(str(path.relative_to(root)))
    return removed


def _written_at(path: Path) -> float:
    """Return when somebody last wrote to the file, or to one in the folder."""
    newest = path.lstat().st_mtime
    if path.is_dir() and not path.is_symlink():
        for entry in os.scandir(path):
            newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
    return newest


async def _abort_uploads(call: S3, bucket: str, prefix: str, before: float) -> list[str]:
    aborted: list[str] = []
    where: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    limit = datetime.fromtimestamp(before, UTC)
    while True:
        page = await call("list_multipart_uploads", **where)
        for upload in page.get("Uploads", []):
            # A server may take the prefix for a hint.
            if upload["Key"].startswith(prefix) and upload["Initiated"] < limit:
                with suppress(FileNotFoundError):
                    await call(
                        "abort_multipart_upload",
                        Bucket=bucket,
                        Key=upload["Key"],
                        UploadId=upload["UploadId"],
                    )
                    aborted.append(f"the upload of {upload['Key']}")
        if not page.get("IsTruncated"):
            return aborted
        where |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}
