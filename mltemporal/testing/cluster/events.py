"""Events: what controllers, scheduler and kubelet tell about an object; repeated ones are counted."""

from __future__ import annotations

import uuid

from mltemporal.testing.cluster import times
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Object, Store


class Recorder:
    """Writes events into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[tuple[str, ...], tuple[str, str]] = {}

    def record(
        self, about: Object, type_: str, reason: str, message: str, component: str, *, host: str = ""
    ) -> None:
        """Tell that something happened to ``about``; ``type_`` is ``Normal`` or ``Warning``."""
        meta = about["metadata"]
        namespace = meta.get("namespace") or "default"
        identity = (meta["uid"], type_, reason, message, component)
        key = self._seen.get(identity)
        if key is not None and self._store.find("events", *key) is not None:
            self._store.modify("events", key, _count)
            return
        name = f"{meta['name']}.{uuid.uuid4().hex[:16]}"
        scheduler = component == "default-scheduler"
        stamp = times.now()
        body: Object = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "kind": about["kind"],
                "namespace": namespace,
                "name": meta["name"],
                "uid": meta["uid"],
                "apiVersion": about["apiVersion"],
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message,
            "type": type_,
            "source": {} if scheduler else {"component": component, **({"host": host} if host else {})},
            "firstTimestamp": None if scheduler else stamp,
            "lastTimestamp": None if scheduler else stamp,
            "eventTime": times.now_micro() if scheduler else None,
            "reportingComponent": component,
            "reportingInstance": host or (f"{component}-1" if scheduler else ""),
        }
        body.update({"action": "Scheduling"} if scheduler else {"count": 1})
        try:
            self._store.create("events", body)
        except ApiError:
            return  # an event is never worth a failure
        self._seen[identity] = (namespace, name)


def _count(event: Object) -> None:
    if event["eventTime"] is not None:  # the newer API counts in a series
        count = event.get("series", {}).get("count", 1) + 1
        event["series"] = {"count": count, "lastObservedTime": times.now_micro()}
    else:
        event["count"] += 1
        event["lastTimestamp"] = times.now()
