"""What the launcher asks of a cluster, and whether the cluster allows it.

`VERBS` is the one list of rights: the Role in deploy/ grants exactly these.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mltemporal.launchers.kubernetes.api import Api, Json


@dataclass(frozen=True)
class Right:
    """A verb on a resource of the namespace."""

    group: str
    """API group; empty: the core."""
    resource: str
    """With its subresource: ``pods/log``."""
    verb: str
    why: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


VERBS = (
    Right("batch", "jobs", "create", "to start an attempt, or to rehearse it"),
    Right("batch", "jobs", "get", "to look at one that this worker has not seen yet"),
    Right("batch", "jobs", "list", "to follow all of them"),
    Right("batch", "jobs", "watch", "to follow all of them"),
    Right("batch", "jobs", "patch", "to pause, resume and stop"),
    Right("batch", "jobs", "delete", "to clean up"),
    Right("", "pods", "list", "to see how the attempts do"),
    Right("", "pods", "watch", "to see how the attempts do"),
    Right("", "pods", "delete", "to end one by force that does not end by itself"),
    Right("", "pods/log", "get", "to read progress and output"),
    Right("", "events", "list", "to say why something waits"),
    Right("", "events", "watch", "to say why something waits"),
    Right("", "services", "create", "so that the ranks of nodes=N find each other"),
)


async def refused(api: Api) -> list[Right]:
    """Return what the cluster would not let us do in the namespace; asks once a right, all at once.

    Raises:
        ServiceUnavailable, Forbidden: the cluster does not answer, or does not say.
    """
    answers = await asyncio.gather(*(_allowed(api, right) for right in VERBS))
    return [right for right, allowed in zip(VERBS, answers, strict=True) if not allowed]


async def _allowed(api: Api, right: Right) -> bool:
    resource, _, sub = right.resource.partition("/")
    wanted: Json = {
        "namespace": api.namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": sub,
    }
    review = await api.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        },
    )
    return bool(review["status"]["allowed"])
