"""A pod's volumes as directories, and container paths rewritten to them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from typing import Any

from mltemporal.testing.cluster.store import Object, Store


class NotMountable(Exception):
    """A volume cannot be set up now; the text is the kubelet's."""


def set_up(store: Store, pod: Object, pod_directory: str, claims: str) -> dict[str, str]:
    """Make the pod's volumes; returns the directory of each.

    Raises:
        NotMountable: a Secret or ConfigMap is missing.
    """
    namespace = pod["metadata"]["namespace"]
    places: dict[str, str] = {}
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        directory = os.path.join(pod_directory, "volumes", name)
        if "persistentVolumeClaim" in volume:
            directory = os.path.join(claims, namespace, volume["persistentVolumeClaim"]["claimName"])
        elif "hostPath" in volume:
            directory = volume["hostPath"]["path"]
        os.makedirs(directory, exist_ok=True)
        for source in (volume.get("projected") or {}).get("sources", ()) or [volume]:
            try:
                _fill(store, namespace, source, directory)
            except NotMountable as error:
                raise NotMountable(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        places[name] = directory
    return places


def _fill(store: Store, namespace: str, source: dict[str, Any], directory: str) -> None:
    for field, resource, name_field in (
        ("secret", "secrets", "secretName"),
        ("configMap", "configmaps", "name"),
    ):
        if field not in source:
            continue
        wanted = source[field]
        name = wanted.get(name_field) or wanted.get("name")
        found = store.find(resource, namespace, name)
        if found is None:
            if wanted.get("optional"):
                continue
            raise NotMountable(f'{field.lower()} "{name}" not found')
        data = contents(resource, found)
        items = wanted.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            if item["key"] not in data:
                if wanted.get("optional"):
                    continue
                raise NotMountable(f"references non-existent {field.lower()} key: {item['key']}")
            path = os.path.join(directory, item["path"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data[item["key"]])
            os.chmod(path, item.get("mode") or wanted.get("defaultMode") or 0o644)


def contents(resource: str, body: Object) -> dict[str, bytes]:
    """Return the values of a Secret or ConfigMap."""
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}
    values = {key: value.encode() for key, value in (body.get("data") or {}).items()}
    return values | {key: base64.b64decode(value) for key, value in (body.get("binaryData") or {}).items()}


def rewriter(container: Object, places: dict[str, str]) -> Callable[[str], str]:
    """Return what replaces the container's mount paths by real directories, wherever a text names them."""
    mounts: dict[str, str] = {}
    for mount in container.get("volumeMounts") or ():
        directory = os.path.join(places[mount["name"]], mount.get("subPath") or "").rstrip("/")
        if mount.get("subPath") and not os.path.exists(directory):
            os.makedirs(directory)
        mounts[mount["mountPath"].rstrip("/")] = directory
    mounts.pop("", None)
    if not mounts:
        return lambda text: text
    paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./-])(?:{paths})(?![\w.-])")
    return lambda text: pattern.sub(lambda found: mounts[found[0]], text)
