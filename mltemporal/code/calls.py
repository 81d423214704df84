"""Whether a function or an estimator takes the parameters that it is given."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mltemporal.errors import InvalidTrainer


def refuse_unknown(whose: str, params: Mapping[str, Any], valid: Sequence[str]) -> None:
    """Refuse parameters that are not among the ``valid`` names.

    Raises:
        InvalidTrainer: names them, and the valid ones.
    """
    unknown = [name for name in params if name not in valid]
    if unknown:
        raise InvalidTrainer(
            f"{whose} has no parameter {', '.join(map(repr, unknown))}",
            f"parameters are {', '.join(valid) or 'none'}",
        )


def check_call(function: Any, params: dict[str, Any]) -> None:
    """Check that ``function(data, **params)`` fits the signature, as Python would.

    Raises:
        InvalidTrainer: it takes no data, a parameter is unknown or missing, or calling it does not train.
    """
    name = name_of(function)
    target = function if inspect.isroutine(function) else type(function).__call__
    if inspect.iscoroutinefunction(target) or inspect.isgeneratorfunction(target):
        raise InvalidTrainer(
            f"{name} is asynchronous or a generator; calling it does not train",
            "pass a plain function fit(data)",
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not say what they take
        return
    parameters = list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise InvalidTrainer(
            f"{name}() takes no data", f"give it a first argument: def {name}(data, **params)"
        )
    data = positional[0].name if positional else None
    by_name = [
        p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != data
    ]
    valid = [p.name for p in by_name]
    if data in params and not (takes_all and positional[0].kind is inspect.Parameter.POSITIONAL_ONLY):
        raise InvalidTrainer(f"{name}() gets the dataset as {data!r}", f"leave {data!r} out of params")
    if not takes_all:
        refuse_unknown(f"{name}()", params, valid)
    missing = [p.name for p in by_name if p.default is p.empty and p.name not in params]
    missing += [p.name for p in positional[1:] if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    if missing:
        values = ", ".join(f'"{parameter}": ...' for parameter in missing)
        raise InvalidTrainer(
            f"{name}() needs {', '.join(map(repr, missing))} beside the data", f"pass params={{{values}}}"
        )


def name_of(function: Any) -> str:
    """Return what a person calls the function: its name, or its type's."""
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    return str(name or type(function).__name__)
