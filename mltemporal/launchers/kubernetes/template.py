"""A user's pod template, merged over ours the way Kubernetes merges.

Objects merge key by key, null removes a key; lists of named things merge by their key, other
lists are replaced (strategic merge patch,
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from mltemporal.errors import InvalidRequest

Json = dict[str, Any]

_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "env": ("name",),
    "ports": ("containerPort",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "resourceClaims": ("name",),
}
"""The merge key of each list of a pod's spec that has one."""

CONTAINER = "training"
"""The container in which the training runs."""

_PARTS = {"apiVersion", "kind", "metadata", "spec"}


def read_template(given: object) -> Json:
    """Return a pod template given as a dict or as the path of a YAML file.

    Raises:
        InvalidRequest: it cannot be read, or is no pod template.
    """
    if isinstance(given, str | os.PathLike):
        given = _load(os.fspath(given))
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            f"the pod template is a {type(given).__name__}", "give a dict, or the path of a YAML file"
        )
    if unknown := sorted(map(str, set(given) - _PARTS)):
        raise InvalidRequest(
            f"the pod template has {', '.join(unknown)} at its top",
            'give {"metadata": {…}, "spec": {…}}, as in a Job\'s spec.template',
        )
    for part in ("metadata", "spec"):
        if not isinstance(given.get(part, {}), Mapping):
            raise InvalidRequest(f"{part} of the pod template is no mapping", f"give {part}: {{…}}")
    return {part: given[part] for part in ("metadata", "spec") if part in given}


def merge(ours: Any, theirs: Any, field: str = "") -> Any:
    """Return ``theirs`` merged over ``ours``; neither is changed."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        merged = dict(ours)
        for name, value in theirs.items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = merge(merged.get(name), value, name)
        return merged
    if isinstance(ours, list) and isinstance(theirs, list) and field in _KEYS:
        return _merge_lists(ours, theirs, _KEYS[field][0])
    return copy.deepcopy(theirs)


def check_contract(ours: Json, merged: Json) -> None:
    """Refuse a merged template in which something that we rely on is no longer so.

    Raises:
        InvalidRequest: names what was changed, from what to what.
    """
    mine, pod = _training(ours), merged["spec"]
    found = [each for each in pod.get("containers", []) if each.get("name") == CONTAINER]
    if not found:
        raise InvalidRequest(
            f"the pod template removes the container {CONTAINER!r}", "leave it; add others beside it"
        )
    container = found[0]
    relied_on = {
        "restartPolicy": (ours["spec"]["restartPolicy"], pod.get("restartPolicy")),
        "terminationGracePeriodSeconds": (
            ours["spec"]["terminationGracePeriodSeconds"],
            pod.get("terminationGracePeriodSeconds"),
        ),
        "subdomain": (ours["spec"].get("subdomain"), pod.get("subdomain")),
        "hostname": (None, pod.get("hostname")),
        **{
            f"{CONTAINER}.{part}": (mine.get(part), container.get(part))
            for part in ("image", "command", "args")
        },
        f"{CONTAINER}.tty": (None, container.get("tty") or None),
    }
    for label, value in ours["metadata"]["labels"].items():
        relied_on[f"label {label}"] = (value, merged["metadata"].get("labels", {}).get(label))
    theirs = {each.get("name"): each for each in container.get("env", [])}
    for variable in mine["env"]:
        if variable["name"].startswith(("MLTEMPORAL_", "RANK", "WORLD_SIZE", "MASTER_")):
            relied_on[f"variable {variable['name']}"] = (variable, theirs.get(variable["name"]))
    for mount in mine["volumeMounts"][:2]:
        relied_on[f"mount {mount['mountPath']}"] = (
            mount,
            next(
                (m for m in container.get("volumeMounts", []) if m.get("mountPath") == mount["mountPath"]),
                None,
            ),
        )
    for what, (before, after) in relied_on.items():
        if before != after:
            raise InvalidRequest(
                f"the pod template changes {what} from {before!r} to {after!r}, which we rely on",
                "leave it out of the template; image, command and env have arguments of train() of their own",
            )


def _training(template: Json) -> Json:
    container: Json = template["spec"]["containers"][0]
    return container


def _merge_lists(ours: list[Any], theirs: list[Any], key: str) -> list[Any]:
    merged = list(ours)
    for item in theirs:
        if not isinstance(item, Mapping) or key not in item:
            raise InvalidRequest(
                f"an entry of the pod template has no {key!r}: {item!r}", f"say which by its {key!r}"
            )
        at = next((i for i, mine in enumerate(merged) if mine.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            merged = [mine for mine in merged if mine.get(key) != item[key]]
        elif at is None:
            merged.append(copy.deepcopy(dict(item)))
        else:
            merged[at] = merge(merged[at], item)
    return merged


def _load(path: str) -> object:
    try:
        import yaml
    except ImportError as error:
        raise InvalidRequest(
            f"a pod template in a file needs PyYAML: {error}", "pip install 'mltemporal[kubernetes]'"
        ) from error
    try:
        with open(path, encoding="utf-8") as file:
            found: object = yaml.safe_load(file)
            return found
    except OSError as error:
        raise InvalidRequest(
            f"the pod template {path!r} cannot be read: {error.strerror}",
            f"check the path; it is seen from {os.getcwd()!r}",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the pod template {path!r} is no YAML: {error}", "correct it") from error
