"""Python objects as bytes that another process can load: the user's own code travels by value.

`dumps` writes what ``cloudpickle.loads`` reads. Functions and classes of notebooks and of the
user's own modules are part of the bytes, as the kernel has them now, whatever the files say.
"""

from __future__ import annotations

import inspect
import io
import linecache
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from mltemporal.code.modules import imported_by, is_own, own_modules

PROTOCOL = 5
_REGISTRY = threading.RLock()  # an object's own pickling may come back here
_INSTALLING: ContextVar[bool] = ContextVar("installing", default=False)
_NOT_SHIPPED = frozenset(["__builtins__", "__loader__", "__spec__", "__cached__"])


class TooLarge(Exception):
    """What was pickled passed the limit; the pickling was given up."""


def dumps(value: object, *, limit_bytes: int | None = None) -> bytes:
    """Return ``value`` as bytes, the code of the user's own that it refers to included.

    Raises:
        TooLarge: there would be more than ``limit_bytes`` of them.
        Exception: whatever pickling the value raises.
    """
    with by_value():
        buffer = _Limited(limit_bytes)
        _Pickler(buffer).dump(value)
        return buffer.getvalue()


def dumps_for_job(value: object, *, limit_bytes: int) -> bytes:
    """Return what `dumps` does, and with it the modules that functions import when they run.

    The text of functions from notebook cells comes along too, for the job's tracebacks.

    Raises:
        The same as `dumps`.
    """
    modules: dict[str, ModuleType] = {}
    while True:
        buffer = _Limited(limit_bytes)
        pickler = _Pickler(buffer)
        with by_value():  # anew each time: a round may import modules
            pickler.dump(_Parcel(value, modules, pickler.sources))
        if pickler.imported.keys() <= modules.keys():
            return buffer.getvalue()
        modules |= pickler.imported


@contextmanager
def by_value() -> Iterator[None]:
    """Let cloudpickle take the user's own modules by value, for the block's length."""
    with _REGISTRY:
        already = cloudpickle.list_registry_pickle_by_value()
        registered = [module for module in own_modules() if module.__name__ not in already]
        for module in registered:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in registered:
                cloudpickle.unregister_pickle_by_value(module)


@contextmanager
def installing_modules() -> Iterator[None]:
    """Put modules that come along into ``sys.modules``, so that imports inside functions find them.

    Only a job does: in a kernel they would hide what the user edits.
    """
    token = _INSTALLING.set(True)
    try:
        yield
    finally:
        _INSTALLING.reset(token)


class _Limited(io.BytesIO):
    def __init__(self, limit_bytes: int | None) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes

    def write(self, data: Any) -> int:
        size_bytes = memoryview(data).nbytes
        if self._limit_bytes is not None and self.tell() + size_bytes > self._limit_bytes:
            raise TooLarge
        return super().write(data)


_NO_FILE = "<dynamic-code>"
"""What cloudpickle says from 3.1.3 on instead of a function's file, which a traceback should name."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Notes what the pickled functions import, and lets modules travel that refer to each other."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.imported: dict[str, ModuleType] = {}
        self.sources: dict[str, dict[int, list[str]]] = {}

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, io.IOBase) and not isinstance(obj, io.BytesIO | io.StringIO):
            return _reduce_file(obj)
        if isinstance(obj, ModuleType) and is_own(obj):
            state = {name: value for name, value in vars(obj).items() if name not in _NOT_SHIPPED}
            return _new_module, (obj.__name__,), state, None, None, _fill_module
        if isinstance(obj, CodeType):
            make, parts = self.dispatch_table[CodeType](obj)
            return make, tuple(obj.co_filename if part == _NO_FILE else part for part in parts)
        reduced = super().reducer_override(obj)
        if isinstance(obj, FunctionType) and reduced is not NotImplemented and not isinstance(reduced, str):
            self.imported |= {module.__name__: module for module in imported_by(obj)}
            self._note_source(obj.__code__)
        return reduced

    def _note_source(self, code: CodeType) -> None:
        """Keep the text of what no file holds (notebook cells): a job's traceback shows it."""
        if not os.path.exists(code.co_filename):
            try:
                lines, start = inspect.getsourcelines(code)
            except (OSError, TypeError, SyntaxError):
                return
            self.sources.setdefault(code.co_filename, {})[start] = lines


class _Parcel:
    """A value, the modules that must be there when its functions run, and the functions' text.

    The text is complete only when the value has been pickled, hence its place.
    """

    def __init__(
        self, value: object, modules: dict[str, ModuleType], sources: dict[str, dict[int, list[str]]]
    ) -> None:
        self._contents = (value, tuple(modules.values()), sources)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpack, self._contents


def _unpack(
    value: object,
    modules: tuple[ModuleType, ...],  # noqa: ARG001
    sources: dict[str, dict[int, list[str]]],
) -> object:
    if _INSTALLING.get():
        for name, blocks in sources.items():
            linecache.cache[name] = _cached_lines(name, blocks)
    return value


def _cached_lines(name: str, blocks: dict[int, list[str]]) -> tuple[int, None, list[str], str]:
    """Return a file's entry in `linecache`, empty lines between the blocks."""
    lines: list[str] = []
    for start, block in sorted(blocks.items()):
        lines += ["\n"] * (start - 1 - len(lines)) + block
    return sum(map(len, lines)), None, lines, name


def _reduce_file(file: io.IOBase) -> Any:
    """Let the standard streams travel by name, and no other file: its position and lock would not."""
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name):
            return getattr, (sys, name)
    raise pickle.PicklingError(f"cannot pickle the open file {file!r}")


def _new_module(name: str) -> ModuleType:
    module = ModuleType(name)
    if _INSTALLING.get():
        sys.modules[name] = module
    return module


def _fill_module(module: ModuleType, state: dict[str, Any]) -> None:
    vars(module).update(state)
