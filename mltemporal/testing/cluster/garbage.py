"""The garbage collector and the namespace controller."""

from __future__ import annotations

from mltemporal.testing.cluster.deletion import FOREGROUND, ORPHAN, delete
from mltemporal.testing.cluster.resources import RESOURCES
from mltemporal.testing.cluster.store import Change, Entry, Object, Store, key_of, owner_uids
from mltemporal.testing.cluster.workqueue import WorkQueue


class GarbageCollector:
    """Deletes what lost its last owner; lets go of owners that wait for their dependents."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.queue = WorkQueue(self._sync)

    def observe(self, entry: Entry) -> None:
        """Note which objects a change concerns."""
        meta = entry.object["metadata"]
        if entry.type == "DELETED":
            for _, dependent in self._store.dependents(meta["uid"]):
                self.queue.add(dependent["metadata"]["uid"])
        if (entry.type == "ADDED" and meta.get("ownerReferences")) or meta.get("deletionTimestamp"):
            self.queue.add(meta["uid"])
        if entry.type == "DELETED":
            for uid in owner_uids(entry.object):
                self.queue.add(uid)
            namespace = self._store.find("namespaces", "", meta.get("namespace", ""))
            if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
                self.queue.add(namespace["metadata"]["uid"])

    def _sync(self, uid: str) -> None:
        found = self._store.by_uid(uid)
        if found is None:
            return
        resource, body = found
        owners = owner_uids(body)
        if owners and not any(self._store.by_uid(owner) for owner in owners):
            if not body["metadata"].get("deletionTimestamp"):
                delete(self._store, resource, key_of(body), {"propagationPolicy": "Background"})
            return
        if not body["metadata"].get("deletionTimestamp"):
            return
        finalizers = body["metadata"].get("finalizers") or ()
        if resource == "pods" and not body["spec"].get("nodeName"):
            self._store.modify(resource, key_of(body), _failed)  # no kubelet will ever say so
        elif resource == "namespaces":
            self._empty(body)
        elif ORPHAN in finalizers:
            for dependent_resource, dependent in self._store.dependents(uid):
                self._store.modify(dependent_resource, key_of(dependent), _without_owner(uid))
            self._release(resource, body, ORPHAN)
        elif FOREGROUND in finalizers:
            self._wait_for_dependents(resource, body)

    def _wait_for_dependents(self, resource: str, body: Object) -> None:
        uid = body["metadata"]["uid"]
        for dependent_resource, dependent in self._store.dependents(uid):
            if not dependent["metadata"].get("deletionTimestamp"):
                delete(
                    self._store, dependent_resource, key_of(dependent), {"propagationPolicy": "Background"}
                )
        blocking = [
            dependent
            for _, dependent in self._store.dependents(uid)
            for owner in dependent["metadata"]["ownerReferences"]
            if owner["uid"] == uid and owner.get("blockOwnerDeletion")
        ]
        if not blocking:
            self._release(resource, body, FOREGROUND)

    def _release(self, resource: str, body: Object, finalizer: str) -> None:
        if self._store.find(resource, *key_of(body)) is not None:
            self._store.modify(resource, key_of(body), without_finalizer(finalizer))

    def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        left = [
            (plural, body)
            for plural, resource in RESOURCES.items()
            if resource.namespaced
            for body in self._store.all(plural, name)
        ]
        for plural, body in left:
            if not body["metadata"].get("deletionTimestamp") and self._store.by_uid(body["metadata"]["uid"]):
                delete(self._store, plural, key_of(body), {"propagationPolicy": "Background"})
        if not any(self._store.by_uid(body["metadata"]["uid"]) for _, body in left):
            self._release("namespaces", namespace, "kubernetes")


def without_finalizer(finalizer: str) -> Change:
    """Return a change that takes one finalizer off an object."""

    def change(body: Object) -> None:
        meta = body["metadata"]
        meta["finalizers"] = [one for one in meta.get("finalizers") or () if one != finalizer]
        if not meta["finalizers"]:
            del meta["finalizers"]

    return change


def _without_owner(uid: str) -> Change:
    def change(body: Object) -> None:
        meta = body["metadata"]
        meta["ownerReferences"] = [one for one in meta["ownerReferences"] if one["uid"] != uid]

    return change


def _failed(pod: Object) -> None:
    pod["status"]["phase"] = "Failed"
