"""Names, labels and pod specs: what the API server refuses with 422."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mltemporal.testing.cluster import quantities
from mltemporal.testing.cluster.statuses import (
    FieldError,
    duplicate,
    invalid_value,
    not_listed,
    required,
    unsupported,
)
from mltemporal.testing.cluster.store import Object

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED})?"
_SERVICE = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_USED = "regex used for validation is"
_ENDS = "and must start and end with an alphanumeric character"
_NOT_A_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{_ENDS} (e.g. 'example.com', {_USED} '{_SUBDOMAIN}')"
)
_NOT_A_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    f"{_ENDS} (e.g. 'my-name',  or '123-abc', {_USED} '{_LABEL}')"
)
_NOT_A_SERVICE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    f"character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', {_USED} '{_SERVICE}')"
)
_NOT_A_KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    f"{_ENDS} (e.g. 'MyName',  or 'my.name',  or '123-abc', {_USED} '{_QUALIFIED}')"
)
_NOT_A_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    f"{_ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345', {_USED} '{_LABEL_VALUE}')"
)
_PLAIN = {"cpu", "memory", "ephemeral-storage"}
_ANNOTATIONS_LIMIT = 256 * 1024


def metadata(resource: str, body: Object) -> Iterator[FieldError]:
    """Check name, labels and annotations."""
    meta = body["metadata"]
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource == "services":
        yield from _matches("metadata.name", name, _SERVICE, _NOT_A_SERVICE, 63)
    elif resource == "namespaces":
        yield from _matches("metadata.name", name, _LABEL, _NOT_A_LABEL, 63)
    else:
        yield from _matches("metadata.name", name, _SUBDOMAIN, _NOT_A_SUBDOMAIN, 253)
    yield from labels("metadata", meta)


def labels(path: str, meta: Object) -> Iterator[FieldError]:
    """Check labels, and the keys and the size of annotations."""
    for key, value in (meta.get("labels") or {}).items():
        yield from _key(f"{path}.labels", key)
        yield from _matches(f"{path}.labels", value, _LABEL_VALUE, _NOT_A_VALUE, 63)
    annotations = meta.get("annotations") or {}
    for key in annotations:
        yield from _key(f"{path}.annotations", key)
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        text = f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"
        yield FieldError("FieldValueTooLong", f"{path}.annotations", text)


def _key(path: str, key: str) -> Iterator[FieldError]:
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        yield invalid_value(path, key, f"prefix part {_NOT_A_SUBDOMAIN}")
    if len(name) > 63:
        yield invalid_value(path, key, "name part must be no more than 63 bytes")
    if not re.fullmatch(_QUALIFIED, name):
        yield invalid_value(path, key, _NOT_A_KEY)


def _matches(path: str, value: str, pattern: str, why: str, longest: int) -> Iterator[FieldError]:
    if len(value) > longest:
        yield invalid_value(path, value, f"must be no more than {longest} bytes")
    if not re.fullmatch(pattern, value):
        yield invalid_value(path, value, why)


def pod_spec(path: str, spec: Object) -> Iterator[FieldError]:
    """Check a pod's spec after defaults were set."""
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    volumes = [volume.get("name", "") for volume in spec.get("volumes") or ()]
    for index, name in enumerate(volumes):
        yield from _matches(f"{path}.volumes[{index}].name", name, _LABEL, _NOT_A_LABEL, 63)
        if name in volumes[:index]:
            yield duplicate(f"{path}.volumes[{index}].name", name)
    seen: list[str] = []
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            place = f"{path}.{kind}[{index}]"
            if container.get("name") in seen:
                yield duplicate(f"{place}.name", container["name"])
            seen.append(container.get("name", ""))
            yield from _container(place, container, volumes)
    if spec["restartPolicy"] not in ("Always", "OnFailure", "Never"):
        yield unsupported(f"{path}.restartPolicy", spec["restartPolicy"], "Always", "OnFailure", "Never")
    if spec["terminationGracePeriodSeconds"] < 0:
        yield _not_negative(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            yield from _matches(f"{path}.{field}", spec[field], _LABEL, _NOT_A_LABEL, 63)
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        if toleration.get("operator", "Equal") not in ("Equal", "Exists"):
            yield unsupported(
                f"{path}.tolerations[{index}].operator", toleration["operator"], "Equal", "Exists"
            )
    yield from labels_map(f"{path}.nodeSelector", spec.get("nodeSelector") or {})


def labels_map(path: str, pairs: dict[str, str]) -> Iterator[FieldError]:
    """Check keys and values of a map of labels."""
    for key, value in pairs.items():
        yield from _key(path, key)
        yield from _matches(path, value, _LABEL_VALUE, _NOT_A_VALUE, 63)


def _not_negative(path: str, value: int) -> FieldError:
    return invalid_value(path, value, "must be greater than or equal to 0")


def at_least_zero(path: str, holder: dict[str, Any], *fields: str) -> Iterator[FieldError]:
    """Check that the numbers in these fields, where given, are not negative."""
    for field in fields:
        if (holder.get(field) or 0) < 0:
            yield _not_negative(f"{path}.{field}", holder[field])


def _container(path: str, container: Object, volumes: list[str]) -> Iterator[FieldError]:
    if not container.get("name"):
        yield required(f"{path}.name")
    else:
        yield from _matches(f"{path}.name", container["name"], _LABEL, _NOT_A_LABEL, 63)
    image = container.get("image")
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield invalid_value(f"{path}.image", image, "must not have leading or trailing whitespace")
    for index, variable in enumerate(container.get("env") or ()):
        place = f"{path}.env[{index}]"
        if not variable.get("name"):
            yield required(f"{place}.name")
        elif "=" in variable["name"] or not variable["name"].isprintable():
            yield invalid_value(
                f"{place}.name", variable["name"], "a valid environment variable name must not contain '='"
            )
        if variable.get("value") and variable.get("valueFrom"):
            yield invalid_value(f"{place}.valueFrom", "", "may not be specified when `value` is not empty")
    mounts: list[str] = []
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        place = f"{path}.volumeMounts[{index}]"
        if mount.get("name") not in volumes:
            yield not_listed(f"{place}.name", mount.get("name", ""))
        if not mount.get("mountPath"):
            yield required(f"{place}.mountPath")
        if mount.get("mountPath") in mounts:
            yield invalid_value(f"{place}.mountPath", mount["mountPath"], "must be unique")
        mounts.append(mount.get("mountPath", ""))
    yield from _resources(f"{path}.resources", container.get("resources") or {})


def _resources(path: str, resources: Object) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            place = f"{path}.{kind}[{name}]" if "/" in name else f"{path}.{kind}.{name}"
            if "/" not in name and name not in _PLAIN and not name.startswith("hugepages-"):
                yield invalid_value(
                    f"{path}.{kind}", name, "must be a standard resource type or fully qualified"
                )
            if quantities.parse(amount) < 0:
                yield invalid_value(place, str(amount), "must be greater than or equal to 0")
            if "/" in name and quantities.parse(amount) % 1:
                yield invalid_value(place, str(amount), "must be an integer")
    for name, amount in requests.items():
        if name in limits and quantities.parse(amount) > quantities.parse(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{path}.requests", str(amount), detail)
        elif name in limits and "/" in name and quantities.parse(amount) != quantities.parse(limits[name]):
            yield invalid_value(
                f"{path}.requests", str(amount), f"must be equal to {name} limit of {limits[name]}"
            )
        elif name not in limits and "/" in name:
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
