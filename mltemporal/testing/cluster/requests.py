"""What a request asks for, read from its method and path as the API server does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mltemporal.testing.cluster import resources, statuses
from mltemporal.testing.cluster.resources import Resource


@dataclass(frozen=True)
class Request:
    """A request for a resource."""

    verb: str
    """One of get, list, watch, create, update, patch, delete, deletecollection."""
    resource: Resource
    namespace: str
    name: str
    subresource: str

    @property
    def target(self) -> str:
        """Resource and subresource: ``pods``, ``pods/log``."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


def read(method: str, path: str, query: Mapping[str, str]) -> Request:
    """Return what ``path`` (without leading slash) asks for.

    Raises:
        ApiError: 404 (no such resource type), 405 (it cannot be done to it).
    """
    parts = path.rstrip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3 and parts[2] == "v1":
        group, rest = parts[1], parts[3:]
    else:
        raise statuses.no_such_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    resource = resources.find(group, rest[0])
    if resource is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
        raise statuses.no_such_path()
    name, subresource = [*rest[1:], "", ""][:2]
    if subresource and subresource not in resource.subresources:
        raise statuses.no_such_path()
    verb = _verb(method, name, query)
    if not verb or (verb == "create" and resource.namespaced and not namespace):
        raise statuses.ApiError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
        )
    return Request(verb, resource, namespace, name, subresource)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method == "GET" and query.get("watch") in ("true", "1", "True"):
        return "watch"
    if name:
        verbs = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
    else:
        verbs = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
    return verbs.get(method, "")
