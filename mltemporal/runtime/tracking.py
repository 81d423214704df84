"""`track`: a loop that reports how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from operator import length_hint
from typing import TypeVar

from mltemporal.runtime import context, reporting

T = TypeVar("T")

_REPORT_EVERY_S = 0.1


def track(
    iterable: Iterable[T], total: int | None = None, desc: str = "", initial: int | None = None
) -> Iterator[T]:
    """Yield the items of ``iterable`` and report, ten times a second at most, how many are done.

    A `report` inside the loop without a step of its own gets the loop's count; a loop that reports
    by itself is not reported twice. Of loops inside
    each other the outermost counts. Outside a job it is a progress bar on standard error.

    Args:
        total: how many items there will be; asked of ``iterable`` where it knows.
        desc: what the loop does, in words.
        initial: how many were done before, by an attempt that was interrupted; of
            ``range(40, 100)`` it is 40 of 100, so that a loop resumed at its checkpoint counts right.
    """
    if isinstance(iterable, range) and iterable.step == 1 and iterable.start >= 0:
        initial = iterable.start if initial is None else initial
        total = iterable.stop if total is None else total
    before = initial or 0
    if total is None and (left := length_hint(iterable)):
        total = before + left
    return _counted(iterable, before, total, desc)


def _counted(iterable: Iterable[T], before: int, total: int | None, desc: str) -> Iterator[T]:
    if reporting.tracked():
        yield from iterable
        return
    in_job = context.current() is not None
    if in_job and desc:
        reporting.stage(desc)
    started = shown_at = time.monotonic()
    done = before
    reporting.set_tracked((done, total))
    try:
        if in_job:
            reporting.report(step=done, total=total)
        for item in iterable:
            reports = reporting.reports()
            yield item
            done += 1
            reporting.set_tracked((done, total))
            told = in_job and reporting.reports() != reports  # the loop's own reports carry its count
            if not told and (now := time.monotonic()) - shown_at >= _REPORT_EVERY_S:
                shown_at = now
                _show(in_job, desc, done, total, (done - before) / max(now - started, 1e-9))
    finally:
        reporting.set_tracked(None)
        _show(in_job, desc, done, total, (done - before) / max(time.monotonic() - started, 1e-9))
        if not in_job:
            sys.stderr.write("\n")


def _show(in_job: bool, desc: str, done: int, total: int | None, rate: float) -> None:
    if in_job:
        reporting.report(step=done, total=total)
        return
    of = f"/{total}" if total is not None else ""
    sys.stderr.write(f"\r{desc + ' ' if desc else ''}{done}{of}  {rate:.1f} a second   ")
    sys.stderr.flush()
