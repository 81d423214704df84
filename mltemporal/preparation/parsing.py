"""``steps=[...]`` as people write it, as steps: names, dicts, functions and transformers among them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mltemporal import steps
from mltemporal.code.capturing import CapturedCode, capture
from mltemporal.errors import InvalidRequest
from mltemporal.preparation.naming import shown, unknown
from mltemporal.preparation.plan import Called, Transformed

_CONSTRUCTORS: dict[str, Callable[..., steps.Step]] = {
    "drop_missing": steps.drop_missing,
    "fill_missing": steps.fill_missing,
    "drop_duplicates": steps.drop_duplicates,
    "cast": steps.cast,
    "filter": steps.filter,
    "select": steps.select,
    "drop": steps.drop,
    "rename": steps.rename,
    "derive": steps.derive,
    "encode": steps.encode,
    "scale": steps.scale,
    "split": steps.split,
    "function": steps.function,
    "transform": steps.transform,
}
_TAKE_A_MAPPING = ("fill_missing", "cast", "rename", "derive")


def written(value: Any) -> list[steps.Step]:
    """Return what the user wrote as a list of steps; None is none.

    Raises:
        InvalidRequest: there is no such step, or its arguments are wrong.
    """
    if value is None:
        return []
    if isinstance(value, str | Mapping | steps.Step) or callable(value) or not isinstance(value, Sequence):
        value = [value]
    return [_step(each) for each in value]


def with_code(step: steps.Step, code: list[CapturedCode]) -> steps.Step:
    """Return the step as a plan holds it, its code (a function, a transformer) appended to ``code``.

    Raises:
        InvalidTrainer: the code cannot be shipped.
    """
    if isinstance(step, steps.Function):
        captured = capture(step.function)
        code.append(captured)
        return Called(captured.label, len(code) - 1)
    if isinstance(step, steps.Transform):
        captured = capture(step.transformer)
        code.append(captured)
        return Transformed(shown(repr(step.transformer)), step.columns, len(code) - 1)
    return step


def _step(value: Any) -> steps.Step:
    if isinstance(value, steps.Step):
        return value
    if isinstance(value, str):
        return _made(value, (), {})
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if hasattr(value, "fit") and hasattr(value, "transform"):
        return steps.transform(value)
    for word, constructor in _CONSTRUCTORS.items():
        if value is constructor:
            return _made(word, (), {})
    if callable(value) and not isinstance(value, type):
        return steps.function(value)
    raise InvalidRequest(
        f"{shown(repr(value))} is no step",
        "pass steps of mltemporal.steps, their names, dicts such as {'filter': 'x > 0'}, functions from "
        "DataFrame to DataFrame, or scikit-learn transformers",
    )


def _from_mapping(value: Mapping[Any, Any]) -> steps.Step:
    if len(value) != 1:
        raise InvalidRequest(
            f"{shown(repr(dict(value)))} is no step: a dict names one step", "write {'filter': 'x > 0'}"
        )
    ((word, argument),) = value.items()
    if argument is None or argument is True:
        return _made(word, (), {})
    if isinstance(argument, Mapping) and word not in _TAKE_A_MAPPING:
        return _made(word, (), {str(name): each for name, each in argument.items()})
    return _made(word, (argument,), {})


def _made(word: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> steps.Step:
    if word not in _CONSTRUCTORS:
        raise unknown(f"there is no step {word!r}", str(word), _CONSTRUCTORS)
    constructor = _CONSTRUCTORS[word]
    try:
        inspect.signature(constructor).bind(*arguments, **named)
    except TypeError as error:
        raise InvalidRequest(
            f"step {word!r}: {error}", f"it is called as {word}{_signature(constructor)}"
        ) from error
    return constructor(*arguments, **named)


def _signature(constructor: Callable[..., Any]) -> str:
    signature = inspect.signature(constructor)
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
