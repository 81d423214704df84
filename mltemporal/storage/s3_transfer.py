"""Large objects to and from S3: in parts, a few at a time, so that memory stays bounded.

Each coroutine takes ``s3`` as `s3.call` gives it. A connection that breaks off in the middle of an
object's bytes costs one part, which is fetched again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import math
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from mltemporal.storage.file_part import FilePart
from mltemporal.storage.s3_errors import answer_of, plainly

T = TypeVar("T")
S3 = Callable[..., Coroutine[Any, Any, Any]]

PART_BYTES = 16 << 20
"""Objects of two parts and more move in parts of this size …"""
PARALLEL = 4
"""… so many at a time."""

_CHUNK_BYTES = 1 << 20
_MOST_PARTS = 10_000
_PART_WITHIN_S = 120
"""Nothing else notices a server that stops reading in the middle of an upload."""
_EXISTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_NOT_KNOWN = ("NotImplemented", "501")


async def upload(s3: S3, bucket: str, key: str, source: Path | bytes, *, size: int, create: bool) -> None:
    """Store the ``size`` bytes of a file (or ``source`` itself), whole or not at all.

    With ``create`` an object that is there already is left as it is, where the server can do that.
    """
    where = {"Bucket": bucket, "Key": key}
    if size < 2 * PART_BYTES:
        with _part(source, 0, size) as body:
            await _appear(s3, "put_object", create, **where, **_digest(source), Body=body)
        return
    where["UploadId"] = (await s3("create_multipart_upload", **where))["UploadId"]
    try:
        done = {"Parts": await _send(s3, where, source, size)}
        if not await _appear(s3, "complete_multipart_upload", create, **where, MultipartUpload=done):
            await _abort(s3, where)
    except BaseException:
        await _abort(s3, where)
        raise


async def _send(s3: S3, where: dict[str, str], source: Path | bytes, size: int) -> list[dict[str, Any]]:
    """Upload the parts and return what completes the upload."""

    async def send(number: int, start: int, end: int) -> dict[str, Any]:
        with _part(source, start, end) as body:
            sent = s3("upload_part", **where, PartNumber=number, Body=body)
            answer = await asyncio.wait_for(sent, _PART_WITHIN_S)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    step = max(PART_BYTES, math.ceil(size / _MOST_PARTS))
    parts = []
    async with _Window() as window:
        for number, start in enumerate(range(0, size, step), start=1):
            if window.full:
                parts.append(await window.oldest())
            window.start(send(number, start, min(start + step, size)))
        while window:
            parts.append(await window.oldest())
    return parts


def _digest(source: Path | bytes) -> dict[str, str]:
    """Have the server compare what arrives: some store nothing where a writer dies before its first byte.

    Files are left out: they would be read twice, and their object's size is looked up afterwards.
    """
    if not isinstance(source, bytes):
        return {}
    digest = hashlib.md5(source, usedforsecurity=False).digest()
    return {"ContentMD5": base64.b64encode(digest).decode()}


def _part(source: Path | bytes, start: int, end: int) -> io.IOBase:
    return io.BytesIO(source[start:end]) if isinstance(source, bytes) else FilePart(source, start, end)


async def _appear(s3: S3, operation: str, create: bool, **what: Any) -> bool:
    """Do what makes an object appear, and return whether it was this that made it appear."""
    if create:
        try:
            await s3(operation, **what, IfNoneMatch="*")
            return True
        except Exception as error:
            code, _ = answer_of(error)
            if code in _EXISTS:
                return False
            if code not in _NOT_KNOWN:
                raise
    await s3(operation, **what)
    return True


async def _abort(s3: S3, where: dict[str, str]) -> None:
    # Why the upload ended is told, not this; parts that stay are removed by the bucket's lifecycle rule.
    with suppress(OSError), plainly():
        await s3("abort_multipart_upload", **where)


async def download(s3: S3, bucket: str, key: str, size: int, path: Path) -> None:
    """Write an object of ``size`` bytes to a local file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    async def save(start: int) -> None:
        end = min(start + PART_BYTES, size)
        what = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{end - 1}"}
        await _until_whole(lambda: _save(s3, file, start, **what))

    try:
        async with _Window() as window:
            for start in range(0, size, PART_BYTES):
                if window.full:
                    await window.oldest()
                window.start(save(start))
            while window:
                await window.oldest()
    finally:
        os.close(file)


async def fetch(s3: S3, bucket: str, key: str, start: int = 0, end: int | None = None, **what: Any) -> bytes:
    """Return an object's bytes from ``start`` up to ``end`` (None: all)."""
    what |= {"Bucket": bucket, "Key": key}
    if end is not None:
        what["Range"] = f"bytes={start}-{end - 1}"
    return await _until_whole(lambda: _read(s3, **what))


async def _until_whole(get: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Get again what broke off."""
    for wait_s in (0.1, 0.5, 2.0):
        try:
            return await get()
        except _broken_off():
            await asyncio.sleep(wait_s)
    return await get()


async def _save(s3: S3, file: int, at: int, **what: Any) -> None:
    # Not written in a thread: cancelled, it would go on and write into whatever has the file's number then.
    async for chunk in _chunks(s3, **what):
        end = at + len(chunk)
        while at < end:  # a disk that is almost full takes less than it is given
            at += os.pwrite(file, memoryview(chunk)[at - end :], at)


async def _read(s3: S3, **what: Any) -> bytes:
    return b"".join([chunk async for chunk in _chunks(s3, **what)])


async def _chunks(s3: S3, **what: Any) -> AsyncIterator[bytes]:
    answer = await s3("get_object", **what)
    left = int(answer["ContentLength"])
    try:
        while chunk := await answer["Body"].read(_CHUNK_BYTES):
            left -= len(chunk)
            yield chunk
    finally:
        answer["Body"].close()
    if left:
        raise ConnectionResetError("the object's bytes ended early")


def _broken_off() -> tuple[type[BaseException], ...]:
    """Return the errors of a connection that ends in the middle of an object's bytes."""
    from aiohttp import ClientPayloadError
    from botocore.exceptions import ReadTimeoutError, ResponseStreamingError

    return (ClientPayloadError, ReadTimeoutError, ResponseStreamingError, ConnectionResetError)


class _Window:
    """A few tasks at a time, awaited in the order of their start; cancelled when the block raises."""

    def __init__(self) -> None:
        self._tasks: deque[asyncio.Task[Any]] = deque()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    @property
    def full(self) -> bool:
        return len(self._tasks) >= PARALLEL

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def oldest(self) -> Any:
        return await self._tasks.popleft()

    async def __aenter__(self) -> _Window:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
