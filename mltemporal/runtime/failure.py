"""What a person sees of a failed training: their own traceback, without our frames."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from mltemporal.errors import MLTemporalError
from mltemporal.specs.results import RunFailure
from mltemporal.words import shortened

_OURS = str(Path(__file__).parents[1]) + "/"
_CELL_FILE = re.compile(r'File "[^"\n]*ipykernel_\d+[/\\]\d+\.py"')
"""What a kernel calls a cell: a file that nobody ever wrote."""


class FailedElsewhere(Exception):
    """What failed did so in another process of the job, which told why in ``failure``."""

    def __init__(self, failure: RunFailure) -> None:
        super().__init__(f"{failure.type}: {failure.message}")
        self.failure = failure


def failure_of(error: BaseException) -> RunFailure:
    """Return why the training failed. Only errors of ours can say that trying again helps.

    The middle of a long text is left out: it may hold a whole table.
    """
    if isinstance(error, FailedElsewhere):
        return error.failure
    return RunFailure(
        type=shortened(type(error).__name__, 200),
        message=shortened(error.what if isinstance(error, MLTemporalError) else str(error), 2_000),
        traceback=shortened(users_traceback(error), 50_000),
        next_step=_next_step(error),
        retryable=isinstance(error, MLTemporalError) and error.retryable,
    )


def users_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` and of what led to it, with our frames cut off.

    An error of somebody else that passed only through our frames keeps them: it is our mistake.
    """
    if isinstance(error, FailedElsewhere):
        return error.failure.traceback
    told = traceback.TracebackException.from_exception(error)
    for part in _chain(told):
        foreign = [frame for frame in part.stack if not _is_ours(frame)]
        if foreign or isinstance(error, MLTemporalError):
            part.stack = traceback.StackSummary.from_list(foreign)
    return _CELL_FILE.sub('File "<notebook cell>"', "".join(told.format()))


def _chain(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    yield told
    for next_one in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if next_one is not None:
            yield from _chain(next_one)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_OURS) or frame.filename.startswith("<frozen ")


def _next_step(error: BaseException) -> str:
    if isinstance(error, MLTemporalError):
        return error.next_step
    if isinstance(error, MemoryError):
        return "train on fewer rows or columns, or on a machine with more memory"
    if isinstance(error, SystemExit):
        return "the training code ended itself by sys.exit; the log says more"
    return ""
