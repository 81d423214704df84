"""The resource types the stand-in serves, and what discovery says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Resource:
    """One resource type."""

    plural: str
    kind: str
    group: str = ""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The name in messages: ``pods``, ``jobs.batch``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """Group and version: ``v1``, ``batch/v1``."""
        return f"{self.group}/v1" if self.group else "v1"


_ALL = (
    Resource("configmaps", "ConfigMap", short=("cm",)),
    Resource("events", "Event", short=("ev",)),
    Resource("namespaces", "Namespace", namespaced=False, short=("ns",), subresources=("status",)),
    Resource("nodes", "Node", namespaced=False, short=("no",), subresources=("status",)),
    Resource("persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",), subresources=("status",)),
    Resource(
        "pods",
        "Pod",
        short=("po",),
        categories=("all",),
        subresources=("status", "log", "eviction", "binding"),
    ),
    Resource("resourcequotas", "ResourceQuota", short=("quota",), subresources=("status",)),
    Resource("secrets", "Secret"),
    Resource("serviceaccounts", "ServiceAccount", short=("sa",)),
    Resource("services", "Service", short=("svc",), categories=("all",), subresources=("status",)),
    Resource("jobs", "Job", group="batch", categories=("all",), subresources=("status",)),
    Resource("priorityclasses", "PriorityClass", group="scheduling.k8s.io", namespaced=False, short=("pc",)),
    Resource("selfsubjectaccessreviews", "SelfSubjectAccessReview", "authorization.k8s.io", namespaced=False),
)
RESOURCES = {resource.plural: resource for resource in _ALL}
GROUPS = tuple(sorted({resource.group for resource in _ALL if resource.group}))
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+stand-in",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def find(group: str, plural: str) -> Resource | None:
    """Return the resource type of that group and plural name, if there is one."""
    resource = RESOURCES.get(plural)
    return resource if resource is not None and resource.group == group else None


def _documents() -> dict[str, dict[str, Any]]:
    groups = [_group(group) for group in GROUPS]
    documents: dict[str, dict[str, Any]] = {
        "version": VERSION,
        "api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "api/v1": _resource_list(""),
    }
    for group in groups:
        documents[f"apis/{group['name']}"] = {"kind": "APIGroup", "apiVersion": "v1", **group}
        documents[f"apis/{group['name']}/v1"] = _resource_list(group["name"])
    return documents


def _group(group: str) -> dict[str, Any]:
    version = {"groupVersion": f"{group}/v1", "version": "v1"}
    return {"name": group, "versions": [version], "preferredVersion": version}


def _resource_list(group: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for resource in (one for one in _ALL if one.group == group):
        common = {"singularName": "", "namespaced": resource.namespaced, "kind": resource.kind}
        verbs = ["create"] if resource.kind == "SelfSubjectAccessReview" else _VERBS
        entry = {"name": resource.plural, **common, "singularName": resource.kind.lower(), "verbs": verbs}
        entry.update(
            {"shortNames": list(resource.short), "categories": list(resource.categories)}
            if resource.categories
            else {"shortNames": list(resource.short)}
        )
        entries.append(entry)
        for subresource in resource.subresources:
            verbs = {"status": ["get", "patch", "update"], "log": ["get"]}.get(subresource, ["create"])
            entries.append({**common, "name": f"{resource.plural}/{subresource}", "verbs": verbs})
    version = f"{group}/v1" if group else "v1"
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": entries}


_DOCUMENTS = _documents()


def discovery(path: str) -> dict[str, Any] | None:
    """Return the discovery document at ``path`` (without a leading slash), if there is one."""
    return _DOCUMENTS.get(path)
