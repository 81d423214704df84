"""Checking what a person asks for, before anything is stored or started."""

from __future__ import annotations

import difflib
import numbers
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, TypeGuard, TypeVar

from mltemporal.errors import InvalidRequest
from mltemporal.settings import BACKENDS
from mltemporal.specs.request import PodOptions, Resources, SecretRef

T = TypeVar("T")

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"\s*(?:\d+(?:\.\d+)?\s*[smhd]\s*)+")
_LONGEST_S = 365 * 86_400
_LONGEST_ENVIRONMENT = 100_000
_LONGEST_SHOWN = 200
_MOST_LABELS = 100
"""Of tags, packages, secrets: more than anybody reads, fewer than a record or a pod would mind."""


def backend(name: str | None, default: str = BACKENDS[0]) -> str:
    """Return the backend; None means the ``default``."""
    if name is None:
        return default
    if name not in BACKENDS:
        near = difflib.get_close_matches(str(name), BACKENDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidRequest(f"there is no backend {name!r}", f"{hint}available: {', '.join(BACKENDS)}")
    return name


def one_of(name: str, value: T, allowed: Sequence[T]) -> T:
    """Return ``value`` if it is one of the ``allowed``."""
    if value not in allowed:
        raise InvalidRequest(f"{name}={value!r} is none", f"use one of {', '.join(map(repr, allowed))}")
    return value


def seconds(duration: str | float | timedelta, name: str = "timeout") -> float:
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
            f"{name}={duration!r} is no duration",
            'give e.g. "90s", "30m", "24h", "2d", "1h30m", or a number of seconds',
        )
    if not 1 <= value <= _LONGEST_S:
        raise InvalidRequest(f"{name}={duration!r} is out of range", "give 1 second to 365 days")
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
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…"
        raise InvalidRequest(f"{name}={shown} is no name", "give 1 to 100 printable characters")
    return value


def labels(name: str, values: object) -> tuple[str, ...]:
    """Return the texts in ``values``; one text alone is a mistake (it would be taken letter by letter)."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRequest(f"{name}={values!r} is no list of texts", f'give a list: {name}=["nightly"]')
    found = tuple(label(name, value) for value in islice(values, _MOST_LABELS + 1))
    if len(found) > _MOST_LABELS:
        raise InvalidRequest(f"{name} has more than {_MOST_LABELS} texts", "give fewer")
    return found


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
    if (length := sum(len(name) + len(value) for name, value in env.items())) > _LONGEST_ENVIRONMENT:
        raise InvalidRequest(
            f"env holds {length:,} characters",
            f"give at most {_LONGEST_ENVIRONMENT:,}; put more into a file, or into the dataset",
        )
    return dict(env)


def resources(wanted: Mapping[str, Any] | Resources | None) -> Resources:
    """Return the resources asked for; whether a place has so much is checked where it is known."""
    if wanted is None:
        return Resources()
    if isinstance(wanted, Resources):
        wanted = {"cpu": wanted.cpu, "memory": wanted.memory, **wanted.others}
    if not isinstance(wanted, Mapping):
        raise InvalidRequest(f"resources={wanted!r} is no mapping", _RESOURCES)
    cpu, memory, others = wanted.get("cpu"), wanted.get("memory"), {}
    for name, value in wanted.items():
        if name in ("cpu", "memory") or value is None:
            continue
        resource = _SHORT_RESOURCES.get(name, name)
        if not isinstance(resource, str) or ("/" not in resource and resource not in _PLAIN_RESOURCES):
            near = difflib.get_close_matches(
                str(name), ["cpu", "memory", *_SHORT_RESOURCES, *_PLAIN_RESOURCES], n=1
            )
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InvalidRequest(f"there is no resource {name!r}", hint + _RESOURCES)
        others[resource] = _quantity(name, value)
    return Resources(
        cpu=None if cpu is None else _cores(cpu),
        memory=None if memory is None else _quantity("memory", memory),
        others=others,
    )


_RESOURCES = 'give e.g. resources={"cpu": 4, "memory": "16Gi", "gpu": 1, "ephemeral-storage": "50Gi"}'
_SHORT_RESOURCES = {
    "gpu": "nvidia.com/gpu",
    "gpus": "nvidia.com/gpu",
    "ephemeral_storage": "ephemeral-storage",
}
_PLAIN_RESOURCES = ("ephemeral-storage", "hugepages-2Mi", "hugepages-1Gi")


def _cores(cpu: object) -> float:
    if isinstance(cpu, str) and re.fullmatch(r"\d+m|\d+(\.\d+)?", cpu):
        return float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    if not _is_number(cpu):
        raise InvalidRequest(f"resources cpu={cpu!r} is no number of cores", 'give e.g. resources={"cpu": 2}')
    return float(cpu)


def _quantity(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not _is_number(value) or (name == "memory" and value < 1 << 20):
        raise InvalidRequest(f"resources {name}={value!r} is no quantity", _RESOURCES)
    return f"{value:g}" if name != "memory" else str(int(value))


def pod_options(
    *,
    image: str | None,
    nodes: object,
    packages: object,
    secrets: object,
    node_selector: Mapping[str, str] | None,
    tolerations: object,
    affinity: Mapping[str, Any] | None,
    priority_class: str | None,
    service_account: str | None,
    image_pull_secrets: object,
    volumes: Mapping[str, Any] | None,
    pod_template: object,
) -> PodOptions:
    """Return what is asked of a cluster, in its stored form."""
    from mltemporal.launchers.kubernetes.template import read_template

    return PodOptions(
        image="" if image is None else label("image", image),
        nodes=whole_number("nodes", nodes, 1, 10_000),
        packages=_requirements(packages),
        secrets=tuple(_secret(each) for each in labels("secrets", secrets)),
        node_selector=_texts("node_selector", node_selector),
        tolerations=_tolerations(tolerations),
        affinity=None if affinity is None else _mapping("affinity", affinity),
        priority_class="" if priority_class is None else label("priority_class", priority_class),
        service_account="" if service_account is None else label("service_account", service_account),
        image_pull_secrets=labels("image_pull_secrets", image_pull_secrets),
        volumes={path: _volume(path, source) for path, source in _mapping("volumes", volumes or {}).items()},
        template=None if pod_template is None else read_template(pod_template),
    )


def _requirements(packages: object) -> tuple[str, ...]:
    if not (found := labels("packages", packages)):
        return ()
    from packaging.requirements import InvalidRequirement, Requirement

    for package in found:
        try:
            Requirement(package)
        except InvalidRequirement as error:
            raise InvalidRequest(
                f"packages has {package!r}, which pip cannot install: {str(error).splitlines()[0]}",
                'write e.g. packages=["lightgbm>=4"]',
            ) from error
    return found


def _secret(text: str) -> SecretRef:
    name, _, path = text.partition(":")
    return SecretRef(name=name, mount_path=path)


def _texts(name: str, values: Mapping[str, str] | None) -> dict[str, str]:
    found = _mapping(name, values or {})
    if any(not isinstance(value, str) for value in found.values()):
        raise InvalidRequest(
            f"{name}={values!r} has values that are no text", f'give {name}={{"label": "value"}}'
        )
    return found


def _tolerations(values: object) -> tuple[dict[str, Any], ...]:
    if isinstance(values, Mapping | str) or not isinstance(values, Iterable):
        raise InvalidRequest(
            f"tolerations={values!r} is no list",
            'give tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]',
        )
    return tuple(_mapping("a toleration", value) for value in values)


def _volume(path: str, source: object) -> dict[str, Any]:
    """A text names a claim; anything else is a volume source as in a pod's spec."""
    if isinstance(source, str):
        return {"persistentVolumeClaim": {"claimName": source}}
    return _mapping(f"volumes[{path!r}]", source)


def _mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
        raise InvalidRequest(f"{name}={value!r} is no mapping", "give a dict, as in a pod's spec")
    return dict(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
