"""Lines are the same however the bytes come."""

import random
from collections.abc import AsyncIterator

from mltemporal.launchers.kubernetes.lines import lines


async def cut(data: bytes, at: list[int], piece_bytes: int | None) -> list[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for begin, end in zip([0, *at], [*at, len(data)], strict=True):
            yield data[begin:end]

    return [line async for line in lines(chunks(), piece_bytes)]


async def test_a_line_comes_with_its_newline_and_the_rest_at_the_end() -> None:
    assert [b"one\n", b"\n", b"two"] == await cut(b"one\n\ntwo", [2, 4], None)
    assert [] == await cut(b"", [], 4)


async def test_a_long_line_comes_in_pieces_counted_from_its_beginning() -> None:
    data = b"abcd\nabc\nabcdefghij\nabcdefgh"
    want = [b"abcd", b"\n", b"abc\n", b"abcd", b"efgh", b"ij\n", b"abcd", b"efgh"]
    assert want == await cut(data, [], 4)


async def test_the_pieces_are_the_same_however_the_bytes_come() -> None:
    chance = random.Random(7)
    for _ in range(300):
        data = bytes(chance.choices(b"ab\n", weights=(4, 4, chance.random()), k=chance.randrange(60)))
        size = chance.choice([None, 1, 3, 5])
        whole = await cut(data, [], size)
        ats = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(6)))
        assert whole == await cut(data, ats, size)
        assert data == b"".join(whole)
