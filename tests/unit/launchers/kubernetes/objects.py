"""Jobs and pods as the API server writes them, shortened to what is looked at."""

from typing import Any

from services.kubernetes import IMAGE

from mltemporal.launchers.kubernetes.cluster import JobState


def pod(
    *,
    state: dict[str, Any] | None = None,
    phase: str = "Pending",
    conditions: tuple[dict[str, Any], ...] = (),
    deleted: str = "",
    name: str = "training-1-abcde",
    **status: Any,
) -> dict[str, Any]:
    """A pod whose only container is in ``state``."""
    containers = {}
    if state is not None:
        one = {"name": "training", "image": IMAGE, "ready": False, "restartCount": 0, "state": state}
        containers = {"containerStatuses": [one]}
    started = {} if phase == "Pending" and not containers else {"startTime": "2026-11-23T12:00:00Z"}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-11-23T12:00:00Z",
            "labels": {},
            **({"deletionTimestamp": deleted} if deleted else {}),
        },
        "spec": {
            "nodeName": "node1",
            "containers": [{"name": "training", "resources": {"limits": {"memory": "1Gi"}}}],
        },
        "status": {"phase": phase, "conditions": list(conditions), **containers, **started, **status},
    }


def ended(code: int, reason: str = "", message: str = "", at: str = "2026-11-23T12:01:00Z") -> dict[str, Any]:
    """The state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def state(*pods: dict[str, Any], gone=(), warning=None, job=None, annotations=None, **spec: Any) -> JobState:
    """A Job, its pods, and the newest warning about the first of them (or about the Job)."""
    conditions = [job] if job else []
    metadata = {
        "name": "training-1",
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "annotations": annotations or {},
    }
    about = pods[0]["metadata"]["name"] if pods else "training-1"
    return JobState(
        {"metadata": metadata, "spec": spec, "status": {"conditions": conditions}},
        pods,
        tuple(gone),
        {about: {"reason": warning[0], "message": warning[1]}} if warning else {},
    )
