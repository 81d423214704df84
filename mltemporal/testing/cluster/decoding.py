"""What the API server refuses with 400 because it cannot be read as the resource's type at all."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from mltemporal.testing.cluster import quantities, statuses
from mltemporal.testing.cluster.resources import Resource
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Object

_NUMBERS = (
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "parallelism",
    "terminationGracePeriodSeconds",
    "ttlSecondsAfterFinished",
)


def check_types(resource: Resource, body: Any) -> None:
    """Refuse a body that is not of the resource's type, in the words of Go's JSON decoder.

    Raises:
        ApiError: 400.
    """
    if not isinstance(body, dict):
        raise statuses.bad_request("couldn't get version/kind; json parse error: the body must be an object")
    for field, given, expected in (
        ("kind", body.get("kind"), resource.kind),
        ("apiVersion", body.get("apiVersion"), resource.api_version),
    ):
        if given not in (None, "", expected):
            raise _cannot(resource, f"the {field} {given!r} does not match the expected {expected!r}")
    if not isinstance(body.get("metadata", {}), dict):
        raise _cannot(
            resource, "json: cannot unmarshal metadata into Go struct field .metadata of type ObjectMeta"
        )
    for why in _mistakes(resource, body):
        raise _cannot(resource, why)


def _cannot(resource: Resource, why: str) -> ApiError:
    return statuses.bad_request(
        f'{resource.kind} in version "v1" cannot be handled as a {resource.kind}: {why}'
    )


def _mistakes(resource: Resource, body: Object) -> Iterator[str]:
    yield from _not_strings("ObjectMeta.metadata", body.get("metadata") or {}, "labels", "annotations")
    spec = body.get("spec")
    if resource.plural == "secrets":
        yield from _not_base64(body.get("data") or {})
        yield from _not_strings("Secret", body, "stringData")
    if spec is None:
        return
    if not isinstance(spec, dict):
        yield f"json: cannot unmarshal {_go(spec)} into Go struct field {resource.kind}.spec"
    elif resource.plural == "jobs":
        yield from _wrong_numbers("JobSpec.spec", spec)
        template = spec.get("template") or {}
        yield from _not_strings(
            "ObjectMeta.spec.template.metadata", template.get("metadata") or {}, "labels", "annotations"
        )
        yield from _pod_mistakes("spec.template.spec", template.get("spec") or {})
    elif resource.plural == "pods":
        yield from _pod_mistakes("spec", spec)
    elif resource.plural == "resourcequotas":
        yield from _bad_quantities(spec.get("hard") or {})


def _pod_mistakes(path: str, spec: Object) -> Iterator[str]:
    yield from _wrong_numbers(f"PodSpec.{path}", spec)
    yield from _not_strings(f"PodSpec.{path}", spec, "nodeSelector")
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            for field in ("command", "args"):
                for word in container.get(field) or ():
                    if not isinstance(word, str):
                        yield _unmarshal(word, f"Container.{path}.{kind}.{field}", "string")
            for variable in container.get("env") or ():
                if not isinstance(variable.get("value", ""), str):
                    yield _unmarshal(variable["value"], f"EnvVar.{path}.{kind}.env.value", "string")
            for amounts in (container.get("resources") or {}).values():
                if isinstance(amounts, dict):
                    yield from _bad_quantities(amounts)
    for volume in spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None:
            yield from _bad_quantities({"sizeLimit": limit})


def _go(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return {int: "number", float: "number", dict: "object", list: "array", str: "string"}.get(
        type(value), "null"
    )


def _unmarshal(value: object, field: str, wanted: str) -> str:
    return f"json: cannot unmarshal {_go(value)} into Go struct field {field} of type {wanted}"


def _not_strings(path: str, holder: Object, *fields: str) -> Iterator[str]:
    for field in fields:
        for value in (holder.get(field) or {}).values():
            if not isinstance(value, str):
                yield _unmarshal(value, f"{path}.{field}", "string")


def _wrong_numbers(path: str, holder: Object) -> Iterator[str]:
    for field in _NUMBERS:
        value = holder.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            yield _unmarshal(value, f"{path}.{field}", "int64")


def _bad_quantities(amounts: dict[str, Any]) -> Iterator[str]:
    for amount in amounts.values():
        try:
            quantities.parse(amount)
        except ValueError as error:
            yield str(error)


def _not_base64(data: dict[str, Any]) -> Iterator[str]:
    for value in data.values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            yield "illegal base64 data at input byte 0"
