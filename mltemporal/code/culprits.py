"""Why something cannot be shipped: the one thing that is to blame, and where it is."""

from __future__ import annotations

import functools
import io
import itertools
import socket
import threading
from collections.abc import Iterator, Mapping
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

from mltemporal.code.modules import is_own
from mltemporal.code.references import referenced
from mltemporal.code.shipping import TooLarge, dumps
from mltemporal.errors import InvalidTrainer

_DEPTH = 12
_ITEMS = 1000
_CONNECTION_NAMES = ("Connection", "connection", "Cursor", "cursor", "Engine")
_KINDS: list[tuple[type, str]] = [
    (io.IOBase, "an open file"),
    (threading.Thread, "a thread"),
    (type(threading.Lock()), "a lock"),
    (type(threading.RLock()), "a lock"),
    (threading.Condition, "a lock"),
    (threading.Semaphore, "a lock"),
    (threading.Event, "a lock"),
    (socket.socket, "a network connection"),
    (GeneratorType, "a generator"),
]
_NEXT_STEPS = {
    "an open file": "open it inside the function",
    "a lock": "create it inside the function",
    "a database connection": "connect inside the function",
    "a network connection": "connect inside the function",
    "a generator": "make a list of it, or create it inside the function",
    "a thread": "start it inside the function",
    "a part of the running notebook kernel": "leave it out: a job runs outside the kernel",
}


def why_not_shipped(label: str, thing: object, error: Exception) -> InvalidTrainer:
    """Return an error that names what in ``thing`` cannot be pickled (``error`` says so)."""
    where, culprit, reason = _deepest(_roots(label, thing), error)
    kind = _kind_of(culprit)
    shown = _short(culprit)
    what = f"is {kind} ({shown})" if kind else f"({shown}) cannot be pickled: {reason}"
    return InvalidTrainer(
        f"{label} cannot be shipped: {where} {what}",
        _NEXT_STEPS.get(kind, "create it inside the function, or pass plain values"),
    )


def why_too_large(label: str, thing: object, limit_bytes: int) -> InvalidTrainer:
    """Return an error that names the largest thing that would travel along."""
    sizes = [(_pickled_bytes(value), where) for where, value in _roots(label, thing)]
    size_bytes, where = max(sizes, default=(0, label))
    return InvalidTrainer(
        f"{label} and what it refers to are larger than {limit_bytes >> 20} MiB; "
        f"the largest is {where} with {size_bytes / (1 << 20):,.0f} MiB",
        "pass the data as the dataset, or load it inside the function",
    )


def _roots(label: str, thing: object) -> list[tuple[str, Any]]:
    """Return the parts of what was captured: (function, params) or an estimator, with their places."""
    if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[1], dict):
        function, params = thing
        given = [(f"parameter {name!r}", value) for name, value in params.items()]
        return [*given, *_children(f"{label}()", function)] or [(f"{label}()", function)]
    return list(_children(label, thing)) or [(label, thing)]


def _deepest(parts: list[tuple[str, Any]], error: Exception) -> tuple[str, Any, Exception]:
    """Follow what fails downwards to the last thing that fails by itself."""
    where, culprit, reason = "something in it", None, error
    seen: set[int] = set()
    for _ in range(_DEPTH):
        for place, value in parts:
            failure = None if id(value) in seen else _failure(value)
            if failure is not None:
                where, culprit, reason = place, value, failure
                break
        else:
            break
        seen.add(id(culprit))
        if _kind_of(culprit):
            break
        parts = list(_children(where, culprit))
    return where, culprit, reason


def _failure(value: object) -> Exception | None:
    try:
        dumps(value)
    except Exception as error:  # an object's own pickling may raise anything
        return error
    return None


def _children(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, each with its place in words."""
    if isinstance(value, FunctionType):
        name = f"{value.__name__}()"
        for what, part in referenced(value):
            yield f"{what} used by {name}", part
    elif isinstance(value, MethodType):
        yield from ((where, value.__func__), (where, value.__self__))
    elif isinstance(value, functools.partial):
        yield from ((where, value.func), (where, value.args), (where, value.keywords))
    elif isinstance(value, ModuleType):
        for name, part in vars(value).items() if is_own(value) else ():
            if not name.startswith("__"):
                yield f"{name!r} of module {value.__name__!r}", part
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        yield from _items(where, value)
    elif isinstance(value, type):
        for name, part in vars(value).items():
            yield f"{name!r} of class {value.__name__}", part
    else:
        yield from _attributes(where, value)


def _items(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, part in itertools.islice(pairs, _ITEMS):
        yield f"[{_short(key)}] of {where}", part


def _attributes(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    for name, part in getattr(value, "__dict__", {}).items():
        yield f".{name} of {where}", part
    for name in (slot for base in kind.__mro__ for slot in _slots(base)):
        if hasattr(value, name):
            yield f".{name} of {where}", getattr(value, name)
    yield f"the class of {where}", kind


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _kind_of(value: object) -> str:
    """Return what kind of thing it is that a person should know cannot travel; empty for others."""
    if isinstance(value, io.BytesIO | io.StringIO):
        return ""
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    kind = type(value)
    if kind.__name__.endswith(_CONNECTION_NAMES):
        return "a database connection"
    if kind.__module__.partition(".")[0] in ("IPython", "ipykernel", "traitlets", "ipywidgets", "zmq"):
        return "a part of the running notebook kernel"
    return ""


def _pickled_bytes(value: object) -> int:
    try:
        return len(dumps(value, limit_bytes=4 << 30))
    except TooLarge:
        return 4 << 30
    except Exception:  # an object's own pickling may raise anything; it is no candidate then
        return 0


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a foreign __repr__ may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"
