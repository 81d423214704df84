"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mltemporal.testing.cluster import statuses

Matches = Callable[[dict[str, Any]], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_COMMON = {"metadata.name", "metadata.namespace"}
_FIELDS = {
    "pods": _COMMON
    | {"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"},
    "events": _COMMON
    | {f"involvedObject.{part}" for part in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")}
    | {"reason", "reportingComponent", "source", "type"},
    "jobs": _COMMON | {"status.successful"},
    "secrets": _COMMON | {"type"},
    "namespaces": _COMMON | {"status.phase"},
    "nodes": _COMMON | {"spec.unschedulable"},
    "services": _COMMON | {"spec.clusterIP", "spec.type"},
}


def selector(resource: str, labels: str, fields: str) -> Matches:
    """Return what tells whether an object matches both selectors; empty ones match all.

    Raises:
        ApiError: 400, a selector cannot be read or names a field that is not indexed.
    """
    rules = [_label_rule(part) for part in _parts(labels)]
    rules += [_field_rule(resource, part) for part in _parts(fields)]
    return lambda body: all(rule(body) for rule in rules)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _label_rule(text: str) -> Matches:
    found = _SET.match(text)
    if found:
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        wanted = found["op"] == "in"
        return lambda body: (_labels(body).get(key) in values) is wanted
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        if sign in text:
            key, _, value = (part.strip() for part in text.partition(sign))
            return lambda body: (_labels(body).get(key) == value) is wanted
    if not re.fullmatch(r"!?[\w./-]+", text):
        raise statuses.bad_request(f"unable to parse requirement: found {text!r}, expected: identifier")
    if text.startswith("!"):
        return lambda body: text[1:] not in _labels(body)
    return lambda body: text in _labels(body)


def _labels(body: dict[str, Any]) -> dict[str, str]:
    return body["metadata"].get("labels") or {}


def _field_rule(resource: str, text: str) -> Matches:
    found = re.fullmatch(r"([\w./-]+?)\s*(!=|==|=)\s*(.*)", text)
    if not found:
        raise statuses.bad_request(f"invalid field selector: '{text}'; can't understand '{text}'")
    path, sign, value = found.groups()
    if path not in _FIELDS.get(resource, _COMMON):
        raise statuses.bad_request(f"field label not supported: {path}")
    return lambda body: (_field(body, path) == value) is (sign != "!=")


def _field(body: Any, path: str) -> str:
    if path == "status.successful":
        return str(body.get("status", {}).get("succeeded", 0))
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return "" if body is None else str(body).lower() if isinstance(body, bool) else str(body)


def matches_labels(body: dict[str, Any], wanted: dict[str, str]) -> bool:
    """Tell whether the object has all these labels."""
    return all(_labels(body).get(key) == value for key, value in wanted.items())
