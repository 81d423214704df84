"""Conditions in an object's status."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster import times
from mltemporal.testing.cluster.store import Object


def find(body: Object, kind: str) -> dict[str, Any] | None:
    """Return the condition of that type, if it is there."""
    for condition in (body.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return dict(condition)
    return None


def holds(body: Object, kind: str) -> bool:
    """Tell whether the condition is there and true."""
    condition = find(body, kind)
    return condition is not None and condition["status"] == "True"


def put(
    body: Object, kind: str, status: str, reason: str = "", message: str = "", *, probed: bool = False
) -> None:
    """Set a condition in place; its transition time changes only with its status.

    ``probed``: it also carries a probe time (a Job's conditions do, filled; a pod's say null).
    """
    found = find(body, kind)
    stamp = times.now()
    same = found is not None and found["status"] == status
    new: dict[str, Any] = {
        "type": kind,
        "status": status,
        "lastProbeTime": stamp if probed else None,
        "lastTransitionTime": found["lastTransitionTime"] if same and found else stamp,
    }
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    conditions = body.setdefault("status", {}).setdefault("conditions", [])
    for index, condition in enumerate(conditions):
        if condition["type"] == kind:
            if probed and same:
                new["lastProbeTime"] = condition["lastProbeTime"]
            conditions[index] = new
            return
    conditions.append(new)
