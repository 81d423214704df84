"""What the API server fills in before it stores an object."""

from __future__ import annotations

import base64
from typing import Any

from mltemporal.testing.cluster.store import Object

JOB_NAME = "batch.kubernetes.io/job-name"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
TRACKING = "batch.kubernetes.io/job-tracking"

_POD_SPEC: Object = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}


def fill_in(resource: str, body: Object) -> None:
    """Set defaults in place; ``body`` already has its uid."""
    if resource == "pods":
        _pod(body)
    elif resource == "jobs":
        _job(body)
    elif resource == "secrets":
        _secret(body)
    elif resource == "services":
        _service(body)
    elif resource == "namespaces":
        body["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = body["metadata"]["name"]
        body["spec"] = {"finalizers": ["kubernetes"]}
        body["status"] = {"phase": "Active"}
    elif resource == "persistentvolumeclaims":
        body["status"] = {"phase": "Bound"}


def pod_spec(spec: Object) -> None:
    """Set the defaults of a pod's spec in place."""
    for key, value in _POD_SPEC.items():
        if spec.get(key) is None:
            spec[key] = value
    spec.setdefault("securityContext", {})
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        image = container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        always = "@" not in image and tag in ("", "latest")
        container.setdefault("imagePullPolicy", "Always" if always else "IfNotPresent")
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        resources = container.setdefault("resources", {})
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _pod(body: Object) -> None:
    spec = body.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("enableServiceLinks", True)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(one.get("key") == key for one in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )
    body["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _quality(spec: Object) -> str:
    everything = [container.get("resources") or {} for container in spec.get("containers") or ()]
    if not any(one.get("requests") or one.get("limits") for one in everything):
        return "BestEffort"
    full = all(
        {"cpu", "memory"} <= set(one.get("limits") or ()) and one.get("requests") == one.get("limits")
        for one in everything
    )
    return "Guaranteed" if full else "Burstable"


def _job(body: Object) -> None:
    spec: dict[str, Any] = body.setdefault("spec", {})
    meta = body["metadata"]
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for key, value in (
        ("parallelism", 1),
        ("backoffLimit", 6),
        ("completionMode", "NonIndexed"),
        ("suspend", False),
        ("manualSelector", False),
        ("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"),
    ):
        if spec.get(key) is None:
            spec[key] = value
    template = spec.setdefault("template", {})
    if not spec["manualSelector"]:
        labels = {CONTROLLER_UID: meta["uid"], "controller-uid": meta["uid"]}
        labels |= {JOB_NAME: meta["name"], "job-name": meta["name"]}
        template.setdefault("metadata", {}).setdefault("labels", {}).update(labels)
        spec["selector"] = {"matchLabels": {CONTROLLER_UID: meta["uid"]}}
    if not meta.get("labels"):
        meta["labels"] = dict(template.get("metadata", {}).get("labels", {}))
    pod_spec(template.setdefault("spec", {}))
    body["status"] = {}


def _secret(body: Object) -> None:
    data = body.get("data") or {}
    for key, value in (body.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(value.encode()).decode()
    body["data"] = data
    body.setdefault("type", "Opaque")


def _service(body: Object) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    address = f"10.96.{int(body['metadata']['uid'][:2], 16)}.{int(body['metadata']['uid'][2:4], 16)}"
    spec.setdefault("clusterIP", address)
    spec["clusterIPs"] = [spec["clusterIP"]]
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    body["status"] = {"loadBalancer": {}}
