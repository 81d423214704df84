"""An S3 bucket (or a prefix in one) as a store: an object appears by one request, whole or not at all."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mltemporal.storage import s3
from mltemporal.storage.hashing import sha256_of
from mltemporal.storage.places import PlaceError
from mltemporal.storage.s3_errors import answer_of
from mltemporal.storage.s3_listing import pages
from mltemporal.storage.s3_transfer import S3, download, fetch, upload

T = TypeVar("T")

_LONGEST_WAIT_S = 15.0
_log = logging.getLogger(__name__)


class Bucket:
    """A `Place` at ``s3://bucket/prefix``."""

    def __init__(self, url: str, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def url_of(self, name: str) -> str:
        """Return the whole URI."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def holds(self, name: str, size_bytes: int) -> bool:
        """Whether there is an object of that size; a missing bucket holds nothing."""
        try:
            return self._call(_size, self._key(name)) == size_bytes
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        """Return the size in bytes."""
        return self._call(_size_in_bucket, self._key(name))

    def read(self, name: str) -> bytes:
        """Return all the bytes."""
        return self._call(fetch, self._key(name))

    @contextmanager
    def copy(self, name: str) -> Iterator[tuple[Path, str]]:
        """Download the object for the block's length, and give its SHA-256."""
        with tempfile.TemporaryDirectory(prefix="mltemporal-") as folder:
            path = Path(folder) / "object"
            self._call(_copy, self._key(name), path)
            yield path, sha256_of(path)

    def write(self, name: str, data: bytes) -> None:
        """Put ``data`` in an object's place."""
        self._call(upload, self._key(name), data, size=len(data), create=False)

    def add(self, name: str, source: Path | bytes) -> None:
        """Create an object, unless another writer was first; its size is looked up afterwards."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        for create in (True, False):  # in place of an object that is not whole, the second time
            self._call(upload, self._key(name), source, size=size, create=create)
            if self.holds(name, size):
                return
        raise _lost()

    def replace(self, name: str, source: Path) -> None:
        """Upload a file in an object's place; its size is looked up afterwards."""
        size = source.stat().st_size
        self._call(upload, self._key(name), source, size=size, create=False)
        if not self.holds(name, size):
            raise _lost()

    def names(self, folder: str) -> list[str]:
        """Return the keys below ``folder``, by the pages of a listing."""
        return self._call(_names, self._key(f"{folder}/" if folder else ""))

    def remove(self, name: str) -> None:
        """Remove an object; S3 does not tell whether there was one."""
        self._call(_remove, self._key(name))

    def remove_all(self, folder: str) -> None:
        """Remove the objects below ``folder``, a page of the listing at a time."""
        self._call(_remove_all, f"{self._key(folder)}/")

    def scratch(self) -> None:
        """Files are uploaded from the system's temporary folder."""

    def _call(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> T:
        """Do ``work`` (which may be done twice), again and again while S3 is away and patience lasts."""
        deadline, wait_s = time.monotonic() + self._patience_s, 1.0
        while True:
            try:
                return s3.call(work, self._bucket, *args, **options)
            except PlaceError as error:
                if not error.retryable or time.monotonic() + wait_s > deadline:
                    raise
                _log.warning("storage s3://%s: %s; trying again in %.0f s", self._bucket, error, wait_s)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _key(self, name: str) -> str:
        return self._prefix + name


async def _size(call: S3, bucket: str, key: str) -> int:
    try:
        return int((await call("head_object", Bucket=bucket, Key=key))["ContentLength"])
    except Exception as error:
        code, _ = answer_of(error)
        if code in ("400", "401", "403"):  # a HEAD has no body that could say why; a listing has
            await call("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        raise


async def _size_in_bucket(call: S3, bucket: str, key: str) -> int:
    try:
        return await _size(call, bucket, key)
    except FileNotFoundError:  # of the object, or of the bucket
        await call("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        raise


async def _copy(call: S3, bucket: str, key: str, path: Path) -> None:
    await download(call, bucket, key, await _size_in_bucket(call, bucket, key), path)


async def _names(call: S3, bucket: str, prefix: str) -> list[str]:
    names = [
        entry["Key"].removeprefix(prefix) async for page in pages(call, bucket, prefix) for entry in page
    ]
    return [name for name in names if name and not name.rpartition("/")[2].startswith(".")]


async def _remove(call: S3, bucket: str, key: str) -> None:
    await call("delete_object", Bucket=bucket, Key=key)


async def _remove_all(call: S3, bucket: str, prefix: str) -> None:
    async for page in pages(call, bucket, prefix):
        if page:
            keys = [{"Key": entry["Key"]} for entry in page]
            answer = await call("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            for error in answer.get("Errors", []):
                raise PlaceError(f"{error.get('Code')}: {error.get('Message')}", "grant s3:DeleteObject")


def _lost() -> PlaceError:
    return PlaceError(
        "the server took the bytes and does not have them", "check the server's log and disk", retryable=True
    )
