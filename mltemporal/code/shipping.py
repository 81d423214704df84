"""Python objects as bytes that another process can load: the user's own code travels by value.

`dumps` writes what ``cloudpickle.loads`` reads. Functions and classes of notebooks and of the
user's own modules are part of the bytes, as the kernel has them now, whatever the files say.
"""

from __future__ import annotations

import inspect
import io
import linecache
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle

from mltemporal.code.modules import imported_by, is_own, own_modules

PROTOCOL = 5
_REGISTRY = threading.Lock()
_INSTALLING: ContextVar[bool] = ContextVar("installing", default=False)
_NOT_SHIPPED = frozenset(["__builtins__", "__loader__", "__spec__", "__cached__"])


class TooLarge(Exception):
    """What was pickled passed the limit; the pickling was given up."""


def dumps(value: object, *, limit_bytes: int | None = None) -> bytes:
    """Return ``value`` as bytes, with all code of the user's own that it needs.

    Raises:
        TooLarge: there would be more than ``limit_bytes`` of them.
        Exception: whatever pickling the value raises.
    """
    with by_value():
        modules: dict[str, ModuleType] = {}
        while True:
            buffer = _Limited(limit_bytes)
            pickler = _Pickler(buffer)
            pickler.dump(_Parcel(value, modules) if modules else value)
            missing = {name: module for name, module in pickler.imported.items() if name not in modules}
            if not missing:
                break
            modules |= missing
        return buffer.getvalue()


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


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Notes what the pickled functions import, and lets modules travel that refer to each other."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.imported: dict[str, ModuleType] = {}

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ModuleType) and is_own(obj):
            state = {name: value for name, value in vars(obj).items() if name not in _NOT_SHIPPED}
            return _new_module, (obj.__name__,), state, None, None, _fill_module
        reduced = super().reducer_override(obj)
        if isinstance(obj, FunctionType) and reduced is not NotImplemented and not isinstance(reduced, str):
            self.imported |= {module.__name__: module for module in imported_by(obj)}
        return reduced


class _Parcel:
    """A value, and the modules that must be there when its functions run."""

    def __init__(self, value: object, modules: dict[str, ModuleType]) -> None:
        self._contents = (value, tuple(modules.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpack, self._contents


def _unpack(value: object, modules: tuple[ModuleType, ...]) -> object:  # noqa: ARG001
    return value


def _new_module(name: str) -> ModuleType:
    module = ModuleType(name)
    if _INSTALLING.get():
        sys.modules[name] = module
    return module


def _fill_module(module: ModuleType, state: dict[str, Any]) -> None:
    vars(module).update(state)
