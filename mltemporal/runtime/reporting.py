"""`report`, and the lines that tell the monitor what a job does.

A line goes in one call to the standard output that the process started with, so that code which
redirects or captures `sys.stdout` changes nothing. Reports pass a token bucket; the rest is rare.
"""

from __future__ import annotations

import atexit
import errno
import io
import math
import operator
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.progress import MAX_NAME_LENGTH, format_line
from mltemporal.runtime import context, control, curve, loops
from mltemporal.runtime.throttle import Throttle
from mltemporal.specs.data import ObjectRef
from mltemporal.words import shortened

_MAX_TEXT_LENGTH = 600  # six bytes a character in JSON at worst, so that a line holds it

_MOST_NOTES = 200
_LONGEST_NOTE = 10_000
_FULL_PAUSE_S = 0.2

_notes: list[str] = []


def report(step: int | None = None, total: int | None = None, **metrics: float) -> None:
    """Tell how far the training is and how it does, e.g. ``report(step=3, total=10, loss=0.12)``.

    Call it as often as you like: it costs microseconds, and above 100 a second (after the first
    2,000) only the newest of each set of metrics is kept. Safe from several threads.

    Args:
        step: how far, a whole number from 0; inside `track`, its count unless given.
        total: of how much.
        metrics: numbers, NumPy scalars and 0-d tensors included; NaN and infinity become null.

    Raises:
        InvalidRequest: names the argument that is no such number.

    What `job.set` gave is seen by `params` from here on.
    """
    fields: dict[str, Any] = {"time": time.time()}
    loop = loops.current()
    if step is not None:
        fields["step"] = _whole("step", step)
    elif loop is not None:
        fields["step"], fields["total"] = loop.done, loop.total
    if total is not None:
        fields["total"] = _whole("total", total)
    fields["metrics"] = {name: _number(name, value) for name, value in metrics.items()}
    _throttle().offer(fields)
    global _reports  # noqa: PLW0603 - a count of calls
    _reports += 1
    control.heed(whole=loop is None)


def begin() -> None:
    """Tell that a process of the job begins, which is this one and none of its children."""
    curve.begin()
    _tell(event="stage", time=time.time(), text="starting", begins=True)


def stage(text: str) -> None:
    """Tell what the job is doing from now on."""
    _tell(event="stage", time=time.time(), text=_shortened(text))


def note(text: str) -> None:
    """Tell what the runtime chose and why, in a sentence for a person; kept with the result too."""
    if len(_notes) < _MOST_NOTES:
        _notes.append(shortened(text, _LONGEST_NOTE))
    _tell(event="note", time=time.time(), text=_shortened(text))


def notes() -> tuple[str, ...]:
    """Return the notes of this process so far."""
    return tuple(_notes)


def artifact(name: str, ref: ObjectRef) -> None:
    """Tell that the job left a file behind."""
    _tell(event="artifact", time=time.time(), name=name, object=ref)


def flush() -> None:
    """Write the reports that are held back."""
    if _current is not None:
        _current.flush()


_reports = 0


def reports() -> int:
    """How often `report` was called in this process."""
    return _reports


def _whole(name: str, value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    whole = -1
    if isinstance(value, float):
        whole = int(value) if value.is_integer() else -1
    elif not isinstance(value, bool):
        try:
            whole = operator.index(value)
        except TypeError:
            whole = -1
    if whole < 0:
        raise InvalidRequest(f"{name}={value!r} is no whole number from 0", f"pass an int, e.g. {name}=3")
    return whole


def _number(name: str, value: Any) -> float | None:
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidRequest(
            f"the metric name {name[:40] + '…'!r} has {len(name)} characters",
            f"use at most {MAX_NAME_LENGTH}",
        )
    if type(value) is not float:
        try:
            value = None if isinstance(value, (str, bytes)) else float(value)
        except OverflowError:
            return None  # an int beyond any float
        except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor with several elements
            value = None
        if value is None:
            raise InvalidRequest(
                f"metric {name!r} is no number", f"pass one number, e.g. {name}=float(value)"
            )
    return value if math.isfinite(value) else None


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT_LENGTH else text[: _MAX_TEXT_LENGTH - 1] + "…"


# Below: where the lines go

_current: Throttle | None = None
_output: int | None = None
_start_lock = threading.Lock()


def open_output() -> None:
    """Keep the standard output of this moment for the lines of a job, before user code can change it."""
    global _output  # noqa: PLW0603 - a process has one standard output
    _output = os.dup(1)


def write_whole_lines() -> None:
    """Let prints appear at once but line by line, so that they mix with progress lines as lines."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)


def _throttle() -> Throttle:
    return _current if _current is not None else _start()


def _start() -> Throttle:
    global _current, _output  # noqa: PLW0603
    with _start_lock:
        if _current is not None:
            return _current
        if _output is None and context.current() is not None:
            _output = os.dup(1)
        if _output is None:
            _current = Throttle(_print, burst=100, refill_per_s=10)
        else:
            _current = Throttle(_writer(_output), burst=2000, refill_per_s=100)
        atexit.register(_current.flush)
        return _current


def _after_fork() -> None:
    """A forked child has reports of its own to hold back, and no thread that would send them."""
    global _current, _start_lock  # noqa: PLW0603
    _current = None
    _start_lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _tell(**fields: Any) -> None:
    throttle = _throttle()
    throttle.flush()
    throttle.send(fields)


def _writer(descriptor: int) -> Callable[[dict[str, Any]], None]:
    patience_s = context.STORAGE_PATIENCE_S

    def write(fields: dict[str, Any]) -> None:
        nonlocal patience_s
        for line in _lines(fields):
            if "metrics" in fields:
                curve.hear(fields.get("step"), line)
            try:
                _write(descriptor, line, patience_s)
            except OSError:
                patience_s = 0.0  # it was waited for: the training goes on without its reports
                raise
            patience_s = context.STORAGE_PATIENCE_S

    return write


def _write(descriptor: int, line: bytes, patience_s: float) -> None:
    """Write the whole line; a full disk is waited for, as a storage that is away is."""
    deadline = time.monotonic() + patience_s
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or time.monotonic() >= deadline:
                raise
            time.sleep(_FULL_PAUSE_S)


def _lines(fields: dict[str, Any]) -> list[bytes]:
    """Return the lines for ``fields``: several with the same step where the metrics are too many for one."""
    try:
        return [format_line(**fields)]
    except ValueError:
        metrics = list(fields["metrics"].items())
        middle = len(metrics) // 2
        halves = (dict(metrics[:middle]), dict(metrics[middle:]))
        return [line for half in halves for line in _lines({**fields, "metrics": half})]


def _print(fields: dict[str, Any]) -> None:
    """The same facts for a person, outside a job."""
    parts = [fields["text"]] if "text" in fields else []
    if "step" in fields:
        of = f"/{fields['total']}" if fields.get("total") is not None else ""
        parts.append(f"step {fields['step']}{of}")
    parts += [f"{name}={_shown(value)}" for name, value in fields.get("metrics", {}).items()]
    print("  ".join(parts), flush=True)  # noqa: T201 - outside a job, printing is what was asked for


def _shown(value: float | None) -> str:
    return "nan" if value is None else f"{value:.6g}"
