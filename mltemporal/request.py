"""Checking what a person asks for, before anything is stored or started."""

from __future__ import annotations

import difflib
import numbers
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, TypeGuard

from mltemporal.errors import InvalidRequest
from mltemporal.specs import Resources

BACKENDS = ("local",)

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"\s*(?:\d+(?:\.\d+)?\s*[smhd]\s*)+")
_LONGEST_S = 365 * 86_400


def backend(name: str | None) -> str:
    """Return the backend; None means a process of this machine."""
    if name is None:
        return BACKENDS[0]
    if name not in BACKENDS:
        near = difflib.get_close_matches(str(name), BACKENDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidRequest(f"there is no backend {name!r}", f"{hint}available: {', '.join(BACKENDS)}")
    return name


def seconds(duration: str | float | timedelta) -> float:
    """Return the seconds of ``"24h"``, ``"90s"``, ``"1h30m"``, a number of seconds or a timedelta."""
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
    elif _is_number(duration):
        value = float(duration)
    elif isinstance(duration, str) and _DURATION.fullmatch(duration):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", duration)
        value = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    else:
        raise InvalidRequest(
            f"timeout={duration!r} is no duration",
            'give e.g. "90s", "30m", "24h", "2d", "1h30m", or a number of seconds',
        )
    if not 1 <= value <= _LONGEST_S:
        raise InvalidRequest(f"timeout={duration!r} is out of range", "give 1 second to 365 days")
    return value


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is a whole number from ``low`` to ``high``."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # NumPy's integers count too
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise InvalidRequest(f"{name}={value!r} is not possible", f"give a whole number from {low} to {high}")
    return number


def share(name: str, value: object) -> float:
    """Return ``value`` if it is a number from 0 to below 1."""
    if not _is_number(value) or not 0 <= value < 1:
        raise InvalidRequest(
            f"{name}={value!r} is no share of the rows", "give a number from 0 (no evaluation) to below 1"
        )
    return float(value)


def label(name: str, value: object) -> str:
    """Return ``value`` if it can be shown as a name: printable text of 1 to 100 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 100 or not value.isprintable():
        raise InvalidRequest(f"{name}={value!r} is no name", "give 1 to 100 printable characters")
    return value


def labels(name: str, values: object) -> tuple[str, ...]:
    """Return the texts in ``values``; one text alone is a mistake (it would be taken letter by letter)."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRequest(f"{name}={values!r} is no list of texts", f'give a list: {name}=["nightly"]')
    return tuple(label(name, value) for value in values)


def parameters(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the trainer's parameters; whether it has such is checked where it is known."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise InvalidRequest(
            f"params is a {type(params).__name__}, not a mapping", 'give params={"name": value}'
        )
    for name in params:
        if not isinstance(name, str):
            raise InvalidRequest(f"{name!r} cannot name a parameter", 'give text: params={"name": value}')
    return dict(params)


def environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return the variables; values are not shown in errors, they may be secret."""
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise InvalidRequest(f"env is a {type(env).__name__}, not a mapping", 'give env={"NAME": "value"}')
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidRequest(
                f"{name!r} cannot name an environment variable", "use letters, digits and '_'"
            )
        if not isinstance(value, str) or "\0" in value:
            raise InvalidRequest(f"the value of env[{name!r}] is no text", f"give text: {name}=str(…)")
    return dict(env)


def resources(wanted: Mapping[str, Any] | Resources | None) -> Resources:
    """Return the resources asked for."""
    if wanted is None:
        return Resources()
    if isinstance(wanted, Resources):
        wanted = asdict(wanted)
    if not isinstance(wanted, Mapping) or set(wanted) - {"cpu"}:
        raise InvalidRequest(
            f"resources={wanted!r} cannot be honoured by a local process",
            'the local backend knows resources={"cpu": 2}',
        )
    cpu = wanted.get("cpu")
    if cpu is None:
        return Resources()
    if not _is_number(cpu):
        raise InvalidRequest(f"resources cpu={cpu!r} is no number of cores", 'give e.g. resources={"cpu": 2}')
    return Resources(cpu=float(cpu))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def local_only(*, image: str | None, nodes: int, packages: Sequence[str], secrets: Sequence[str]) -> None:
    """Refuse what a local process cannot honour."""
    refused = {
        "image": (image is not None, "a local job runs in the environment of your kernel"),
        "nodes": (nodes != 1, "a local job runs on this one machine"),
        "packages": (bool(packages), "install them in the environment of your kernel"),
        "secrets": (bool(secrets), "a local job has the environment variables of your kernel"),
    }
    for name, (given, instead) in refused.items():
        if given:
            raise InvalidRequest(f"the local backend cannot honour {name}=", f"leave it out: {instead}")
