"""A misspelt keyword is answered in words, as a wrong value is."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mltemporal.errors import InvalidRequest

_P = ParamSpec("_P")
_R = TypeVar("_R")


def explained(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have ``call`` refuse keywords that it does not have with the one that was perhaps meant.

    Where it takes ``params``, it says that a trainer's own go there.
    """
    known = list(inspect.signature(call).parameters)
    name = call.__name__

    @wraps(call)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for each in kwargs:
            if each not in known:
                raise InvalidRequest(f"{name}() has no argument {each}=", _hint(name, each, known))
        return call(*args, **kwargs)

    return checked


def _hint(name: str, wrong: str, known: list[str]) -> str:
    if near := difflib.get_close_matches(wrong, known, n=1, cutoff=0.7):
        return f"did you mean {near[0]}=?"
    if "params" in known:
        return (
            f"what your trainer takes goes into params={{{wrong!r}: …}}; help(mltemporal.{name}) has the rest"
        )
    return f"help(mltemporal.{name}) has them all"
