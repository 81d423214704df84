"""The values that ``job.set(…)`` may give to a running function: plain, small, and known by name."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.specs.encoding import encode
from mltemporal.specs.orders import LONGEST_PARAMS_BYTES

_MOST_ITEMS = 100
_SHOWN = 60
_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|token|credentials?|apikey|(?:api|access|private|secret)_?key)(?:_|$)",
    re.IGNORECASE,
)


def sounds_secret(name: str) -> bool:
    """Whether the name speaks of a password, a token or a key."""
    return _SECRET.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)) is not None


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse what is no plain small value, and what looks like a secret: all of it is recorded.

    Raises:
        InvalidRequest: names the value.
    """
    if not values:
        raise InvalidRequest("set() without a value", "give e.g. job.set(lr=0.01)")
    for name, value in values.items():
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 200:
            raise InvalidRequest(f"{name!r} cannot name a parameter", "give a name of the function's")
        if sounds_secret(name):
            raise InvalidRequest(
                f"{name!r} sounds like a secret, and what is set is recorded", "pass it in the environment"
            )
        items = value if isinstance(value, list | tuple) else [value]
        if len(items) > _MOST_ITEMS or not all(map(_plain, items)):
            raise InvalidRequest(
                f"{name}={_shown(value)} is no plain value",
                f"give a number, text, True, False, None, or a list of at most {_MOST_ITEMS} of them",
            )
    size = len(encode(dict(values)))
    if size > LONGEST_PARAMS_BYTES:
        raise InvalidRequest(
            f"the values take {size:,} bytes as JSON, and at most {LONGEST_PARAMS_BYTES:,} may be set in all",
            "put them into a file or a dataset",
        )


def check_names(values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse names that the training does not know.

    Raises:
        InvalidRequest: says which was perhaps meant, and which there are.
    """
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InvalidRequest(
                f"the training has no parameter {name!r}", f"{hint}it has {', '.join(known) or 'none'}"
            )


def told_values(values: Mapping[str, Any]) -> str:
    """Return the values as people read them: ``lr=0.01, layers=[3, 4]``."""
    return ", ".join(f"{name}={_shown(value)}" for name, value in values.items())


def _plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or isinstance(value, bool | str)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
