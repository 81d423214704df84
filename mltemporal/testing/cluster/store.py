"""The objects, their revisions, and the log of changes that watches read.

Objects in the store are never changed in place: a change stores a new copy, so that answers, watch
events and snapshots may refer to them without copying. All of it belongs to one event loop.
"""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mltemporal.testing.cluster import statuses, times
from mltemporal.testing.cluster.resources import RESOURCES

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace ("" for a cluster-wide object) and name."""
Change = Callable[[Object], None]

_LOG_LENGTH = 50_000
_GENERATION = {"jobs", "pods", "nodes"}


@dataclass(frozen=True)
class Entry:
    """One change: what a watch sees."""

    revision: int
    resource: str
    type: str
    object: Object
    previous: Object | None

    @cached_property
    def line(self) -> bytes:
        """The watch event, as one line."""
        return event_line(self.type, self.object)


def event_line(kind: str, body: Object) -> bytes:
    """Return a watch event as one line."""
    return json.dumps({"type": kind, "object": body}, separators=(",", ":")).encode() + b"\n"


def copied(value: Any) -> Any:
    """Copy what JSON can hold (several times faster than `copy.deepcopy`)."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, list):
        return [copied(one) for one in value]
    return value


def key_of(body: Object) -> Key:
    """Return namespace and name of an object."""
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]


def suffix() -> str:
    """Return five characters as ``generateName`` appends them: no vowels, nothing that looks alike."""
    return "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))  # noqa: S311 a name, no secret


class Store:
    """All objects of the cluster."""

    def __init__(self) -> None:
        self.revision = 1
        self.oldest = 1
        """Changes up to this revision are forgotten."""
        self.log: deque[Entry] = deque()
        self.listeners: list[Callable[[Entry], None]] = []
        """Called on every change, in order, inside the call that changes."""
        self._objects: dict[str, dict[Key, Object]] = {plural: {} for plural in RESOURCES}
        self._by_uid: dict[str, tuple[str, Key]] = {}
        self._dependents: dict[str, set[tuple[str, Key]]] = {}

    def find(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None."""
        return self._objects[resource].get((namespace, name))

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return the object.

        Raises:
            ApiError: 404.
        """
        found = self.find(resource, namespace, name)
        if found is None:
            raise statuses.not_found(RESOURCES[resource], name)
        return found

    def all(self, resource: str, namespace: str = "") -> list[Object]:
        """Return the objects of one namespace, or of all (""), ordered by namespace and name."""
        objects = self._objects[resource]
        return [objects[key] for key in sorted(objects) if not namespace or key[0] == namespace]

    def by_uid(self, uid: str) -> tuple[str, Object] | None:
        """Return resource type and object of that uid, if it exists."""
        place = self._by_uid.get(uid)
        return None if place is None else (place[0], self._objects[place[0]][place[1]])

    def dependents(self, uid: str) -> list[tuple[str, Object]]:
        """Return what names ``uid`` among its owners."""
        places = sorted(self._dependents.get(uid, ()))
        return [(resource, self._objects[resource][key]) for resource, key in places]

    def create(self, resource: str, body: Object) -> Object:
        """Store a new object; fills in uid, revision, creation time and a generated name.

        Raises:
            ApiError: 409, the name is taken.
        """
        return self.insert(resource, with_identity(resource, body))

    def insert(self, resource: str, body: Object) -> Object:
        """Store a new object that has its identity (see `with_identity`).

        Raises:
            ApiError: 409, the name is taken.
        """
        if key_of(body) in self._objects[resource]:
            raise statuses.already_exists(RESOURCES[resource], body["metadata"]["name"])
        self._commit(resource, "ADDED", body, None)
        return body

    def modify(self, resource: str, key: Key, change: Change) -> Object:
        """Apply ``change`` to a copy of the object and store that; nothing happens if it equals the old one.

        Raises:
            ApiError: 404.
        """
        old = self.get(resource, *key)
        new = copied(old)
        change(new)
        return self.replace(resource, old, new)

    def replace(self, resource: str, old: Object, new: Object) -> Object:
        """Store ``new`` in the place of ``old``."""
        if new == old:
            return old
        meta = new["metadata"]
        if resource in _GENERATION and new.get("spec") != old.get("spec"):
            meta["generation"] = old["metadata"].get("generation", 1) + 1
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not self._terminating(new):
            self._commit(resource, "DELETED", new, old)
        else:
            self._commit(resource, "MODIFIED", new, old)
        return new

    @staticmethod
    def _terminating(body: Object) -> bool:
        """Whether a kubelet still has to end it: then only the kubelet's own delete removes it."""
        return bool(body["metadata"].get("deletionGracePeriodSeconds"))

    def remove(self, resource: str, key: Key) -> None:
        """Forget the object, whatever its finalizers say."""
        old = self.find(resource, *key)
        if old is not None:
            self._commit(resource, "DELETED", copied(old), old)

    def _commit(self, resource: str, kind: str, new: Object, old: Object | None) -> None:
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        place = (resource, key_of(new))
        if kind == "DELETED":
            del self._objects[resource][place[1]]
            self._by_uid.pop(new["metadata"]["uid"])
        else:
            self._objects[resource][place[1]] = new
            self._by_uid[new["metadata"]["uid"]] = place
        for uid in owner_uids(old) if old else ():
            self._dependents.get(uid, set()).discard(place)
        for uid in owner_uids(new) if kind != "DELETED" else ():
            self._dependents.setdefault(uid, set()).add(place)
        entry = Entry(self.revision, resource, kind, new, old)
        self.log.append(entry)
        if len(self.log) > _LOG_LENGTH:
            self.oldest = self.log.popleft().revision
        for listener in list(self.listeners):
            listener(entry)

    def since(self, revision: int) -> Iterable[Entry]:
        """Return the changes after ``revision``.

        Raises:
            ApiError: 410, they were forgotten.
        """
        if revision < self.oldest:
            raise statuses.gone(f"too old resource version: {revision} ({self.oldest})")
        newer = list(itertools.takewhile(lambda entry: entry.revision > revision, reversed(self.log)))
        return reversed(newer)

    def compact(self) -> None:
        """Forget the log: a watch from an earlier revision gets 410."""
        self.revision += 1
        self.oldest = self.revision
        self.log.clear()


def with_identity(resource: str, body: Object) -> Object:
    """Return a copy with what the server gives a new object: name, uid, creation time, generation."""
    body = copied(body)
    meta = body["metadata"]
    if not meta.get("name"):
        meta["name"] = meta["generateName"][:58] + suffix()
    for given in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
        meta.pop(given, None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = times.now()
    if resource in _GENERATION:
        meta["generation"] = 1
    return body


def owner_uids(body: Object) -> list[str]:
    """Return the uids of an object's owners."""
    return [owner["uid"] for owner in body["metadata"].get("ownerReferences") or ()]


def controller_of(body: Object) -> Object | None:
    """Return the owner reference that controls the object, if any."""
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None
