"""Node objects, and whether a pod may go to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mltemporal.testing.cluster import times
from mltemporal.testing.cluster.store import Object

UNREACHABLE = "node.kubernetes.io/unreachable"


def new(
    name: str, *, cpu: object, memory: object, gpus: int, pods: int, storage: object, labels: dict[str, str]
) -> Object:
    """Return a Node that is ready; amounts are quantities."""
    capacity = {"cpu": str(cpu), "memory": str(memory), "ephemeral-storage": str(storage), "pods": str(pods)}
    if gpus:
        capacity["nvidia.com/gpu"] = str(gpus)
    node_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "metadata": {"name": name, "labels": node_labels | labels},
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": dict(capacity),
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [ready("True", "KubeletReady", "kubelet is posting ready status")],
            "nodeInfo": {
                "kubeletVersion": "v1.36.0+stand-in",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


def ready(status: str, reason: str, message: str) -> dict[str, Any]:
    """Return a node's Ready condition."""
    stamp = times.now()
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": stamp,
        "lastTransitionTime": stamp,
    }


def tolerates(pod: Object, taint: dict[str, Any]) -> bool:
    """Tell whether one of the pod's tolerations matches the taint."""
    for one in pod["spec"].get("tolerations") or ():
        if one.get("effect") not in (None, "", taint["effect"]):
            continue
        exists = one.get("operator") == "Exists"
        same_value = (one.get("value") or "") == (taint.get("value") or "")
        if one["key"] == taint["key"] and (exists or same_value) if one.get("key") else exists:
            return True
    return False


def untolerated(pod: Object, node: Object) -> bool:
    """Tell whether the node has a taint that keeps the pod away."""
    taints = node.get("spec", {}).get("taints") or ()
    return any(taint["effect"] != "PreferNoSchedule" and not tolerates(pod, taint) for taint in taints)


def selected(pod: Object, node: Object) -> bool:
    """Tell whether the node matches the pod's node selector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term(term, node, labels) for term in required["nodeSelectorTerms"])


def _term(term: dict[str, Any], node: Object, labels: dict[str, str]) -> bool:
    fields = {"metadata.name": node["metadata"]["name"]}
    return _all(term.get("matchExpressions") or (), labels) and _all(term.get("matchFields") or (), fields)


def _all(rules: Iterable[dict[str, Any]], pairs: dict[str, str]) -> bool:
    return all(_holds(rule["operator"], pairs.get(rule["key"]), rule.get("values") or [""]) for rule in rules)


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    if operator in ("In", "NotIn"):
        return (value in wanted) is (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if value is None:
        return False
    return int(value) > int(wanted[0]) if operator == "Gt" else int(value) < int(wanted[0])
