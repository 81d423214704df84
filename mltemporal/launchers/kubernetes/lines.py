"""A stream of bytes as lines, however long they are."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def lines(chunks: AsyncIterator[bytes], piece_bytes: int | None = None) -> AsyncIterator[bytes]:
    """Give each line with its newline, as soon as it is there; what has none at the end comes last.

    Args:
        piece_bytes: a longer line comes in pieces of that length, counted from its beginning, and a rest:
            in the same ones whenever the stream is read again.
    """
    unread = b""
    async for chunk in chunks:
        unread += chunk
        begin = 0
        while end := _end(unread, begin, piece_bytes):
            yield unread[begin:end]
            begin = end
        unread = unread[begin:]
    if unread:
        yield unread


def _end(data: bytes, begin: int, most: int | None) -> int:
    """Return where the line or piece that begins there ends; 0 where its end has not come yet."""
    if most is None:
        return data.find(b"\n", begin) + 1
    found = data.find(b"\n", begin, begin + most) + 1
    return found or (begin + most if len(data) >= begin + most else 0)
