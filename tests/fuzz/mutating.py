"""From sound input to input that nobody meant: a few changes at random places."""

from __future__ import annotations

import random

_TOKENS = (
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\xff",
        b"\xed\xa0\x80",
        b"\x1b]52;c;",
        b"\x9b31m",
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
    ),
    *(
        b"9" * 40,
        b"1e" + b"9" * 30,
        b"{",
        b"}",
        b"[" * 300,
        b"(" * 300,
        b'"',
        b"'",
        b"\\",
        b"\\u0000",
        b"\\ud800",
    ),
    *(b"::mltemporal::", b"../../", b"${x}", b"%s", b"a" * 5000, "\u202e€😀".encode(), b";", b"--", b"/*"),
)


def mutated(sound: list[bytes], chance: random.Random) -> bytes:
    """Return one of ``sound``, changed in one to eight places; now and then noise, or what it was."""
    if chance.random() < 0.03:
        return chance.randbytes(chance.randrange(200))
    data = bytearray(chance.choice(sound))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        at = chance.randrange(len(data) + 1)
        what = chance.randrange(7)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif what == 1:
            del data[at:]
        elif what == 2:
            del data[at : at + chance.randrange(1, 20)]
        elif what == 3:
            data[at:at] = chance.choice(_TOKENS)
        elif what == 4:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif what == 5:
            end = min(len(data), at + chance.randrange(1, 60))
            data[at:at] = data[at:end] * chance.randrange(1, 4)
        elif data:
            data[at % len(data)] = chance.randrange(256)
    return bytes(data)
