"""Whether what is scored is still like what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mltemporal.runtime.context import Job
from mltemporal.specs import ObjectRef, Shard

if TYPE_CHECKING:
    from mltemporal.runtime.scoring import Scored


class ShardSample:
    """What one shard adds to the comparison."""

    def __init__(self, job: Job, shard: Shard) -> None:
        self._wanted = job.spec.inference is not None and job.spec.inference.reference is not None

    def add(self, scored: Scored) -> None:
        """Look at a batch."""

    def result(self) -> dict[str, Any]:
        """Return what goes into the shard's note."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the comparison found."""

    object: ObjectRef | None = None
    moved: tuple[str, ...] = ()


def compared(job: Job, results: Sequence[dict[str, Any]]) -> Compared:
    """Compare what was scored with what the model was trained on; where that fails, a note says why."""
    return Compared()
