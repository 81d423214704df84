"""Deleting: grace, finalizers, preconditions, and what happens to dependents."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster import statuses, times
from mltemporal.testing.cluster.resources import RESOURCES, Resource
from mltemporal.testing.cluster.store import Key, Object, Store, copied, key_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_POLICIES = ("Orphan", "Background", "Foreground")


def delete(store: Store, resource: str, key: Key, options: dict[str, Any] | None = None) -> Object | None:
    """Delete as the API server does; returns what is left of the object, None if it is gone.

    ``options`` are ``DeleteOptions``. A Job's dependents are orphaned unless they say otherwise: the
    rule of batch/v1. A pod on a node stays, with a deletion time, until its kubelet has ended it.

    Raises:
        ApiError: 404, 409 (preconditions), 422 (unknown policy).
    """
    options = options or {}
    old = store.get(resource, *key)
    meta = old["metadata"]
    _check_preconditions(resource, meta, options.get("preconditions") or {})
    policy = options.get("propagationPolicy")
    if policy not in (None, *_POLICIES):
        raise statuses.invalid(
            Resource("deleteoptions", "DeleteOptions", "meta.k8s.io"),
            "",
            [statuses.unsupported("propagationPolicy", policy, *_POLICIES)],
        )
    if policy is None and resource == "jobs":
        policy = "Orphan"
    if options.get("dryRun"):
        return copied(old) if resource == "pods" else None

    def mark(body: Object) -> None:
        finalizers = [
            one for one in body["metadata"].get("finalizers") or () if one not in (FOREGROUND, ORPHAN)
        ]
        kept = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy or "", [])
        if resource == "namespaces":
            kept = ["kubernetes"]
            body["status"] = {"phase": "Terminating"}
        body["metadata"]["finalizers"] = finalizers + kept
        if not body["metadata"]["finalizers"]:
            del body["metadata"]["finalizers"]
        _set_time(body["metadata"], _grace(resource, body, options))

    store.modify(resource, key, mark)
    left = store.find(resource, *key)
    return left if left is not None and left["metadata"]["uid"] == meta["uid"] else None


def finish(store: Store, pod: Object) -> None:
    """Take away a pod that its kubelet has ended; a finalizer still keeps it."""
    found = store.by_uid(pod["metadata"]["uid"])
    if found is not None:
        delete(store, "pods", key_of(found[1]), {"gracePeriodSeconds": 0})


def _set_time(meta: Object, grace_s: int) -> None:
    if "deletionTimestamp" not in meta or grace_s < meta.get("deletionGracePeriodSeconds", 0):
        meta["deletionTimestamp"] = times.shifted(grace_s)
        meta["deletionGracePeriodSeconds"] = grace_s


def _grace(resource: str, body: Object, options: dict[str, Any]) -> int:
    if resource != "pods" or not body["spec"].get("nodeName"):
        return 0
    if body.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    wanted = options.get("gracePeriodSeconds")
    return int(body["spec"]["terminationGracePeriodSeconds"] if wanted is None else wanted)


def _check_preconditions(resource: str, meta: Object, wanted: dict[str, Any]) -> None:
    for field, shown in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != meta[field]:
            why = (
                f"Precondition failed: {shown} in precondition: {wanted[field]}, "
                f"{shown} in object meta: {meta[field]}"
            )
            raise statuses.conflict(RESOURCES[resource], meta["name"], why)
