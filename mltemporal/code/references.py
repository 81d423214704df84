"""What a function refers to: globals, closure variables, defaults."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from mltemporal.code.modules import all_code

_GLOBAL_OPS = frozenset(["LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"])


def global_names(code: CodeType) -> list[str]:
    """Return the names of globals that ``code``, or anything defined in it, uses; sorted."""
    return sorted(
        {
            str(instruction.argval)
            for part in all_code(code)
            for instruction in dis.get_instructions(part)
            if instruction.opname in _GLOBAL_OPS
        }
    )


def referenced(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what ``function`` refers to as (what it is for a person, value), in a fixed order."""
    for name in global_names(function.__code__):
        if name in function.__globals__:
            yield f"global {name!r}", function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"variable {name!r}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    defaults = function.__defaults__ or ()
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    for name, value in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True):
        yield f"the default of {name!r}", value
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        yield f"the default of {name!r}", value
    for name, value in sorted(vars(function).items()):
        yield f"attribute {name!r}", value
