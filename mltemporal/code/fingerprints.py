"""A hash of code that is the same when the same cell is run again, here or in another kernel.

Pickled bytes would not do: they hold file names like ``<ipython-input-7>``, line numbers, the
order of sets, and which equal objects happen to be one. So the hash is taken over the meaning:

- a function of the user's own: its byte code, constants, names, signature, defaults, and the
  hashes of what it refers to (globals by name, closure variables, modules it imports),
- a class of the user's own: its bases and attributes; any other by its name,
- a module of the user's own: its attributes; any other by its name,
- plain values: type and value; containers: the hashes of their items, those of sets sorted,
- any other object: what pickling would reduce it to, hashed by the same rules.

Comments, blank lines and file names do not count. An object that pickles differently each time
gives another hash each time: then running a cell again starts a new job, which is safe.
"""

from __future__ import annotations

import copyreg
import hashlib
import marshal
import types
import uuid
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mltemporal.code.modules import imported_by, is_own
from mltemporal.code.references import global_names
from mltemporal.code.shipping import by_value, dumps

_PLAIN = frozenset([type(None), bool, int, float, complex, str, bytes])
_UNSTABLE_ATTRIBUTES = frozenset(
    (
        *("__dict__", "__weakref__", "__module__", "__firstlineno__", "__static_attributes__"),
        *("__slotnames__", "_abc_impl", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    )
)
_STRUCTURE = (list, tuple, dict, set, frozenset)


def fingerprint(value: object) -> bytes:
    """Return the SHA-256 of what ``value`` means; see the module's text."""
    with by_value():
        return _Hasher().digest(value)


class _Hasher:
    """Hashes a graph of objects; each object once, cycles by their place on the way down."""

    def __init__(self) -> None:
        self._done: dict[int, bytes] = {}
        self._open: dict[int, int] = {}
        self._alive: list[object] = []  # ids are only unique among the living

    def digest(self, value: Any) -> bytes:
        if type(value) in _PLAIN:
            return _hash("plain", type(value).__name__.encode(), marshal.dumps(value, 2))
        key = id(value)
        if key in self._done:
            return self._done[key]
        if key in self._open:
            return _hash("cycle", str(len(self._open) - self._open[key]).encode())
        self._alive.append(value)
        self._open[key] = len(self._open)
        try:
            digest = self._compute(value)
        finally:
            del self._open[key]
        self._done[key] = digest
        return digest

    def _compute(self, value: Any) -> bytes:
        if type(value) in _STRUCTURE:
            return self._structure(value)
        rules: list[tuple[Any, Callable[[Any], bytes]]] = [
            (CodeType, self._code),
            (FunctionType, self._function),
            (ModuleType, self._module),
            (type, self._class),
            (property | classmethod | staticmethod, self._descriptor),
            (types.MappingProxyType, lambda proxy: self._structure(dict(proxy))),
        ]
        rule = next((rule for kind, rule in rules if isinstance(value, kind)), self._reduced)
        return rule(value)

    def _structure(self, value: Any) -> bytes:
        kind = type(value).__name__
        if isinstance(value, set | frozenset):
            return _hash(kind, *sorted(self.digest(item) for item in value))
        if isinstance(value, dict):
            return self._all(kind, [part for item in value.items() for part in item])
        if len(value) > 64 and set(map(type, value)) <= _PLAIN:  # long plain lists in one go
            return _hash(kind + " of plain", marshal.dumps(value, 2))
        return self._all(kind, value)

    def _code(self, code: CodeType) -> bytes:
        facts = (
            code.co_name,
            code.co_argcount,
            code.co_posonlyargcount,
            code.co_kwonlyargcount,
            code.co_flags,
        )
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        table = getattr(code, "co_exceptiontable", b"")
        return self._all("code", [facts, names, code.co_code, table, list(code.co_consts)])

    def _function(self, function: FunctionType) -> bytes:
        if _by_reference(function):
            return _hash("reference", _name(function))
        used = function.__globals__
        cells = [_contents(cell) for cell in function.__closure__ or ()]
        return self._all(
            "function",
            [
                function.__code__,
                [(name, used[name]) for name in global_names(function.__code__) if name in used],
                cells,
                function.__defaults__,
                function.__kwdefaults__,
                dict(vars(function)),
                list(imported_by(function)),
            ],
        )

    def _module(self, module: ModuleType) -> bytes:
        if not is_own(module):
            return _hash("module", module.__name__.encode())
        public = [(name, value) for name, value in sorted(vars(module).items()) if not name.startswith("__")]
        return self._all("own module", [module.__name__, public])

    def _class(self, kind: type) -> bytes:
        if _by_reference(kind):
            return _hash("reference", _name(kind))
        own = [
            (name, value) for name, value in sorted(vars(kind).items()) if name not in _UNSTABLE_ATTRIBUTES
        ]
        own = [
            pair
            for pair in own
            if not isinstance(pair[1], types.GetSetDescriptorType | types.MemberDescriptorType)
        ]
        return self._all("class", [kind.__qualname__, type(kind), list(kind.__bases__), own])

    def _descriptor(self, value: Any) -> bytes:
        parts = [getattr(value, name, None) for name in ("fget", "fset", "fdel", "__func__")]
        return self._all(type(value).__name__, parts)

    def _reduced(self, value: Any) -> bytes:
        reducer = copyreg.dispatch_table.get(type(value))
        try:
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        except Exception:  # cloudpickle knows more types than pickle does; it did pickle this one
            return self._pickled(value)
        if isinstance(reduced, str):
            return _hash("reference", type(value).__module__.encode(), reduced.encode())
        function, arguments, *rest = reduced
        state, items, pairs = (*rest, None, None, None)[:3]
        return self._all("object", [function, arguments, state, list(items or ()), list(pairs or ())])

    def _pickled(self, value: Any) -> bytes:
        try:
            return _hash("pickle", dumps(value))
        except Exception:  # a part that is not shipped by itself: never equal to another
            return _hash("unknown", uuid.uuid4().bytes)

    def _all(self, kind: str, parts: Iterable[Any]) -> bytes:
        return _hash(kind, *(self.digest(part) for part in parts))


def _by_reference(value: Any) -> bool:
    """Whether another process finds it by its name, as cloudpickle decides."""
    from cloudpickle.cloudpickle import _should_pickle_by_reference

    return bool(_should_pickle_by_reference(value))


def _name(value: Any) -> bytes:
    return f"{value.__module__}.{value.__qualname__}".encode()


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return "empty cell"


def _hash(kind: str, *parts: bytes) -> bytes:
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
