"""The pods of a Job: which they are, how they are made, and what their ends mean."""

from __future__ import annotations

from mltemporal.testing.cluster.defaults import COMPLETION_INDEX, CONTROLLER_UID, JOB_NAME, TRACKING
from mltemporal.testing.cluster.store import Object, Store, controller_of, copied, suffix


def of(store: Store, job: Object) -> list[Object]:
    """Return the pods that the Job controls."""
    uid = job["metadata"]["uid"]
    pods = [body for resource, body in store.dependents(uid) if resource == "pods"]
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]


def made_for(job: Object, index: int | None) -> Object:
    """Return a new pod for the Job; ``index`` is its completion index, if the Job is Indexed."""
    template = copied(job["spec"]["template"])
    job_meta = job["metadata"]
    meta = template.get("metadata") or {}
    middle = "" if index is None else f"{index}-"
    base = f"{job_meta['name']}-{middle}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": base[:58] + suffix(),
            "generateName": base,
            "namespace": job_meta["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "finalizers": [TRACKING],
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": job_meta["name"],
                    "uid": job_meta["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }
    if index is not None:
        _give_index(pod, job_meta["name"], index)
    return pod


def _give_index(pod: Object, job_name: str, index: int) -> None:
    pod["metadata"]["annotations"][COMPLETION_INDEX] = str(index)
    pod["metadata"]["labels"][COMPLETION_INDEX] = str(index)
    pod["spec"].setdefault("hostname", f"{job_name}-{index}")
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{COMPLETION_INDEX}']"}}
    for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]:
        env = container.setdefault("env", [])
        if not any(variable["name"] == "JOB_COMPLETION_INDEX" for variable in env):
            env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})


def index_of(pod: Object) -> int | None:
    """Return the completion index of a pod."""
    text = (pod["metadata"].get("annotations") or {}).get(COMPLETION_INDEX)
    return None if text is None else int(text)


def phase(pod: Object) -> str:
    """Return the pod's phase."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def terminal(pod: Object) -> bool:
    """Tell whether the pod has ended."""
    return phase(pod) in ("Succeeded", "Failed")


def leaving(pod: Object) -> bool:
    """Tell whether the pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def active(pod: Object) -> bool:
    """Tell whether the pod runs, or will, and is not being deleted."""
    return not terminal(pod) and not leaving(pod)


def tracked(pod: Object) -> bool:
    """Tell whether the pod was not yet counted."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def failed(pod: Object, job: Object) -> bool:
    """Tell whether the pod counts as failed: by default already when it is being deleted."""
    if phase(pod) == "Failed":
        return True
    if job["spec"]["podReplacementPolicy"] == "Failed":
        return False
    return leaving(pod) and phase(pod) != "Succeeded"


def restarts(pod: Object) -> int:
    """Return how often the pod's containers were restarted."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return sum(int(one.get("restartCount", 0)) for one in statuses)


def job_key(pod: Object) -> tuple[str, str] | None:
    """Return the key of the Job that a pod says it belongs to, even when that Job is gone."""
    owner = controller_of(pod)
    if owner is not None and owner["kind"] == "Job":
        return pod["metadata"]["namespace"], owner["name"]
    name = (pod["metadata"].get("labels") or {}).get(JOB_NAME)
    return (pod["metadata"]["namespace"], name) if name else None


def belongs(pod: Object, job: Object) -> bool:
    """Tell whether the pod was made for this very Job (not for an earlier one of the same name)."""
    return bool((pod["metadata"].get("labels") or {}).get(CONTROLLER_UID) == job["metadata"]["uid"])


def parse_indexes(text: str) -> set[int]:
    """Return the numbers in ``0-2,5``."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def show_indexes(numbers: set[int]) -> str:
    """Return numbers as ``0-2,5``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a},{b}" if b == a + 1 else f"{a}-{b}" for a, b in parts)
