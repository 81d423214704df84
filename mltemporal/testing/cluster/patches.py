"""The three kinds of patch: JSON merge patch, strategic merge patch, JSON patch."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster import statuses
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import copied

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


def patched(content_type: str, body: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Return ``body`` with the patch of that content type applied.

    Raises:
        ApiError: 415 for a content type that is not served, 400 for a patch that cannot be applied.
    """
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json-patch+json":
        if not isinstance(patch, list):
            raise statuses.bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        return _json_patched(body, patch)
    if kind not in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        kinds = ", ".join(f"application/{one}-patch+json" for one in ("json", "merge", "strategic-merge"))
        raise ApiError(
            415,
            "UnsupportedMediaType",
            f"the body of the request was in an unknown format - accepted media types include: {kinds}",
        )
    if not isinstance(patch, dict):
        raise statuses.bad_request("error decoding patch: it must be an object")
    merged = _merged(body, patch, strategic=kind.startswith("application/strategic"))
    assert isinstance(merged, dict)
    return merged


def _merged(old: Any, patch: Any, *, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        return copied(patch)
    if strategic and patch.get("$patch") == "replace":
        return {key: copied(value) for key, value in patch.items() if key != "$patch"}
    new = copied(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            new.pop(key, None)
        elif strategic and isinstance(value, list) and _merge_key(key, value):
            new[key] = _merged_list(new.get(key) or [], value, _merge_key(key, value))
        elif strategic and key == "finalizers":
            new[key] = [*new.get(key, []), *(one for one in value if one not in new.get(key, []))]
        else:
            new[key] = _merged(new.get(key), value, strategic=strategic)
    if strategic and "$deleteFromPrimitiveList/finalizers" in patch:
        dropped = patch["$deleteFromPrimitiveList/finalizers"]
        new["finalizers"] = [one for one in new.get("finalizers", []) if one not in dropped]
    return new


def _merge_key(field: str, items: list[Any]) -> str:
    key = _MERGE_KEYS.get(field, "")
    if field == "ports" and items and "port" in items[0]:
        key = "port"  # of a Service
    return key if items and all(isinstance(item, dict) and key in item for item in items) else ""


def _merged_list(old: list[Any], patch: list[Any], key: str) -> list[Any]:
    new = {item.get(key): item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            new.pop(item[key], None)
        else:
            new[item[key]] = _merged(new.get(item[key], {}), item, strategic=True)
    return list(new.values())


def _json_patched(body: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    holder: dict[str, Any] = {"": copied(body)}
    for operation in operations:
        try:
            _apply(holder, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(
                422,
                "Invalid",
                f"the server rejected our request due to an error in our request: {operation!r}: {error!r}",
            ) from error
    body = holder[""]
    if not isinstance(body, dict):
        raise statuses.bad_request("error decoding patch: the result is no object")
    return body


def _apply(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    parent, last = _place(holder, operation["path"])
    verb = operation["op"]
    if verb in ("copy", "move"):
        source, name = _place(holder, operation["from"])
        value = copied(source[name])
        if verb == "move":
            del source[name]
        operation, verb = {"value": value}, "add"
    if verb == "test":
        if parent[last] != operation["value"]:
            raise ValueError("testing value failed")
    elif verb == "remove":
        del parent[last]
    elif verb == "replace":
        _ = parent[last]  # it must be there
        parent[last] = copied(operation["value"])
    elif verb == "add" and isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else last, copied(operation["value"]))
    elif verb == "add":
        parent[last] = copied(operation["value"])
    else:
        raise ValueError(f"unexpected kind: {verb}")


def _place(holder: dict[str, Any], path: str) -> tuple[Any, Any]:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    here: Any = holder
    for part in parts[:-1]:
        here = here[int(part)] if isinstance(here, list) else here[part]
    last: Any = parts[-1]
    return here, int(last) if isinstance(here, list) and last != "-" else last
