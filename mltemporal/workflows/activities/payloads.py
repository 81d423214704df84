"""What may go through Temporal: it takes 2 MB a payload, and asks again for ever where there is more."""

from __future__ import annotations

from typing import TypeVar

from mltemporal.errors import JobFailed
from mltemporal.specs.encoding import encode
from mltemporal.specs.results import JobResult

LIMIT_BYTES = 256 << 10
"""Of a result; a history holds it three times."""

Result = TypeVar("Result", bound=JobResult)


def fitting(result: Result) -> Result:
    """Return the result if it is small enough to be handed on.

    Raises:
        JobFailed: it is not. `mltemporal`'s own runtime keeps below; another program wrote this one.
    """
    size = len(encode(result))
    if size > LIMIT_BYTES:
        raise JobFailed(
            f"the job's result has {size:,} bytes, of which Temporal would have to carry every one",
            f"return at most {LIMIT_BYTES:,} bytes of metrics and names; keep the rest as artifacts",
        )
    return result
