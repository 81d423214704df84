"""``pods/log``: which log a request means, and why there may be none."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from mltemporal.testing.cluster import statuses, times
from mltemporal.testing.cluster.kubelet import Kubelet
from mltemporal.testing.cluster.logs import Log
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Object


@dataclass(frozen=True)
class Query:
    """``PodLogOptions``."""

    container: str
    follow: bool
    previous: bool
    timestamps: bool
    tail: int | None
    since_s: int | None
    limit_bytes: int | None


def read_query(query: Mapping[str, str]) -> Query:
    """Read the options.

    Raises:
        ApiError: 400, a value cannot be read.
    """

    def number(name: str) -> int | None:
        return int(query[name]) if query.get(name) else None

    try:
        since_s = times.seconds_since_1970(query["sinceTime"]) if query.get("sinceTime") else None
        ago_s = number("sinceSeconds")
        return Query(
            container=query.get("container", ""),
            follow=_true(query.get("follow")),
            previous=_true(query.get("previous")),
            timestamps=_true(query.get("timestamps")),
            tail=number("tailLines"),
            since_s=int(time.time() - ago_s) if ago_s is not None else since_s,
            limit_bytes=number("limitBytes"),
        )
    except ValueError as error:
        raise statuses.bad_request(f"invalid log options: {error}") from error


def _true(text: str | None) -> bool:
    return text in ("true", "True", "1")


def find(kubelet: Kubelet, pod: Object, query: Query) -> Log | None:
    """Return the log; None, which reads as empty, for a pod that is not on a node.

    Raises:
        ApiError: 400 (which container? not started yet), 500 (its node does not answer).
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    main = [container["name"] for container in spec["containers"]]
    known = [*main, *(container["name"] for container in spec.get("initContainers") or ())]
    container = query.container or (main[0] if len(main) == 1 else "")
    if not container:
        choice = " ".join(known)
        raise statuses.bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{choice}]"
        )
    if container not in known:
        raise statuses.bad_request(f"container {container} is not valid for pod {name}")
    if not spec.get("nodeName"):
        return None
    if spec["nodeName"] in kubelet.lost:
        url = f"https://127.0.0.1:10250/containerLogs/{pod['metadata']['namespace']}/{name}/{container}"
        text = f'Get "{url}": dial tcp 127.0.0.1:10250: connect: connection refused'
        raise ApiError(500, "InternalError", text)
    runner = kubelet.runners.get(pod["metadata"]["uid"])
    logs = {} if runner is None else runner.previous_logs if query.previous else runner.logs
    if container in logs:
        return logs[container]
    if query.previous:
        raise statuses.bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    raise statuses.bad_request(
        f'container "{container}" in pod "{name}" is waiting to start: {_why(pod, container)}'
    )


def _why(pod: Object, container: str) -> str:
    status = pod.get("status", {})
    for one in [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]:
        reason = one["state"].get("waiting", {}).get("reason", "")
        if one["name"] == container and reason:
            return {
                "ImagePullBackOff": "trying and failing to pull image",
                "ErrImagePull": "image can't be pulled",
            }.get(reason, str(reason))
    return "ContainerCreating"


async def stream(log: Log | None, query: Query) -> AsyncIterator[bytes]:
    """Yield the log's bytes, in the form and up to the length asked for."""
    if log is None:
        return
    left = query.limit_bytes
    if query.follow:
        async for line in log.follow(query.tail, query.since_s):
            text = line.shown(timestamps=query.timestamps)
            yield text if left is None else text[:left]
            left = None if left is None else left - len(text)
            if left is not None and left <= 0:
                return
        return
    text = b"".join(line.shown(timestamps=query.timestamps) for line in log.read(query.tail, query.since_s))
    yield text[:left]
