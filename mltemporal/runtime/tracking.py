"""`track`: a loop that reports how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import TypeVar

from mltemporal.runtime import context, control, loops, reporting

T = TypeVar("T")

_REPORT_EVERY_S = 0.1


def track(
    iterable: Iterable[T], total: int | None = None, desc: str = "", initial: int | None = None
) -> Iterator[T]:
    """Yield the items of ``iterable`` and report, ten times a second at most, how many are done.

    A `report` inside the loop without a step of its own gets the loop's count; a loop that reports
    by itself is not reported twice. Of loops inside each other the outermost counts. Outside a job it is a
    progress bar on standard error.

    Of a job that was interrupted, the loop goes on after the item in which the checkpoint was saved that
    the code has loaded, and says so: save once, at the end of the loop's body. A save counts as the end of
    an item as soon as one item in which it was the only one has ended; killed in the first such item, the
    loop goes on with that item, not after it. It begins at its beginning where no checkpoint was loaded or
    it was saved in a loop inside this one or elsewhere more than once in an item, where ``initial`` is given,
    ``total`` is another number than that of the items or the range begins later, where another item stands
    in that place now, and where ``iterable`` is no sequence. `job.stop_early` ends it before the next item.

    Args:
        iterable: what is gone through.
        total: how many items there will be; asked of ``iterable`` where it knows.
        desc: what the loop does, in words.
        initial: how many were done before, by an attempt that was interrupted; of
            ``range(40, 100)`` it is 40 of 100, so that a loop resumed at its checkpoint counts right.
            Given (0, too), no item of ``iterable`` is left out.
    """
    resumes = initial is None and isinstance(iterable, Sequence) and total in (None, len(iterable))
    if isinstance(iterable, range) and iterable.step == 1 and iterable.start >= 0:
        resumes = resumes and iterable.start == 0
        initial = iterable.start if initial is None else initial
        total = iterable.stop if total is None else total
    before = initial or 0
    if total is None and (left := length_hint(iterable)):
        total = before + left
    return _counted(iterable, before, total, desc, resumes=resumes)


def _counted(
    iterable: Iterable[T], before: int, total: int | None, desc: str, *, resumes: bool
) -> Iterator[T]:
    if loops.current() is not None:
        yield from iterable
        return
    in_job = context.current() is not None
    if in_job and desc:
        reporting.stage(desc)
    place = ""
    if resumes and isinstance(iterable, Sequence) and (position := loops.resumed_at(total)):
        before, place = _goes_on(iterable, position)
        iterable = islice(iterable, before, None)
    started = shown_at = time.monotonic()
    loop, shown = loops.begin(before, total, place), -1
    try:
        if in_job:
            reporting.report(step=loop.done, total=total)
            shown = loop.done
        for item in iterable:
            control.heed(whole=True)
            if control.should_stop():
                break
            reports = reporting.reports()
            loop.begin_item(item, sys._getframe().f_back)  # noqa: SLF001 - it asks for the next
            yield item
            loop.end_item()
            told = in_job and reporting.reports() != reports  # the loop's own reports carry its count
            if not told and (now := time.monotonic()) - shown_at >= _REPORT_EVERY_S:
                shown, shown_at = loop.done, now
                _show(in_job, desc, loop, before, now - started)
        else:
            control.heed(whole=True)
    finally:
        loops.end()
        if loop.done != shown:
            _show(in_job, desc, loop, before, time.monotonic() - started)
        if not in_job:
            sys.stderr.write("\n")


def _goes_on(items: Sequence[T], position: loops.Position) -> tuple[int, str]:
    """Return how many items are left out, and where in the body a save ends an item; says so."""
    done, of = position.done, _of(position.total)
    if not position.fits(items):
        reporting.note(
            f"the loop begins anew: item {done:,}{of} is another than when its checkpoint was saved"
        )
        return 0, ""
    if not position.whole:
        reporting.note(
            f"the loop goes on with item {done + 1:,}{of}: its checkpoint may be of the middle of it"
        )
    elif done:
        reporting.note(f"the loop goes on after item {done:,}{of}, where its checkpoint was saved")
    return done, position.place


def _show(in_job: bool, desc: str, loop: loops.Loop, before: int, took_s: float) -> None:
    if in_job:
        reporting.report(step=loop.done, total=loop.total)
        return
    rate = (loop.done - before) / max(took_s, 1e-9)
    of = _of(loop.total, "/")
    sys.stderr.write(f"\r{desc + ' ' if desc else ''}{loop.done}{of}  {rate:.1f} a second   ")
    sys.stderr.flush()


def _of(total: int | None, words: str = " of ") -> str:
    return f"{words}{total}" if total is not None else ""
