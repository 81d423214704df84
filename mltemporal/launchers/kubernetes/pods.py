"""Why a pod is not running, or how it ended, in one sentence, and whether another attempt helps."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from datetime import datetime
from typing import Any

from mltemporal.launchers.base import Phase, Sighting
from mltemporal.launchers.kubernetes.template import CONTAINER

Json = dict[str, Any]

_PREEMPTION = re.compile(r" (?:no new claims to deallocate|preemption:)")
"""What the scheduler adds: that nobody else can be sent away for it."""
_PULL = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|authorization failed|forbidden"
    r"|\b40[134]\b",
    re.IGNORECASE,
)
_PULL_PATIENCE_S = 120.0
"""How long a registry may be away."""
_CONFIG_PATIENCE_S = 20.0
"""How long a missing Secret may take to appear: it is often made in the same moment."""
_LOST_AFTER_S = 60.0
"""After its grace, a pod that is still there has a node that does not answer."""

_DISRUPTIONS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "DeletionByTaintManager": "its node was lost or drained",
    "EvictionByEvictionAPI": "evicted: its node is being drained, or somebody asked for it",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "ended by its node (shutdown, or short of something)",
}


def look(pod: Json, warning: Json | None, now: float) -> Sighting:
    """Return where a pod stands; ``warning`` is the newest event of that kind about it."""
    return (
        end_of(pod)
        or _being_deleted(pod, now)
        or _unscheduled(pod)
        or _held_up(pod, warning, now)
        or _silent(pod, warning)
        or _running(pod)
    )


def _being_deleted(pod: Json, now: float) -> Sighting | None:
    deleted = pod["metadata"].get("deletionTimestamp")
    if not deleted:
        return None
    if now - when(deleted) > _LOST_AFTER_S:  # the time is when its grace is over
        return Sighting(phase=Phase.INTERRUPTED, reason=f"its node {_node(pod)!r} was lost")
    return Sighting(phase=Phase.RUNNING, reason="its pod is being ended")


def _silent(pod: Json, warning: Json | None) -> Sighting | None:
    if warning is None or warning.get("reason") != "NodeNotReady":
        return None
    return Sighting(
        phase=Phase.RUNNING,
        reason=f"its node {_node(pod)!r} does not answer; the cluster gives it some minutes to come back",
    )


def _running(pod: Json) -> Sighting:
    container = container_of(pod)
    if container is not None and "running" in container.get("state", {}):
        return Sighting(phase=Phase.RUNNING)
    return Sighting(phase=Phase.QUEUED, reason="its pod is being made ready")


def _unscheduled(pod: Json) -> Sighting | None:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Sighting(phase=Phase.QUEUED, reason=_unschedulable(condition))
    return None


def _unschedulable(condition: Json) -> str:
    message = _PREEMPTION.split(shortened(condition.get("message", "")))[0]
    if condition.get("reason") == "SchedulingGated":
        return "its pod is held back by a scheduling gate"
    short = sorted(set(re.findall(r"Insufficient ([\w./-]+\w)", message)))
    if short:
        return f"no node has enough {' and '.join(short)} free, it waits for one: {message}"
    return f"no node can take it, it waits for one: {message}"


def _held_up(pod: Json, warning: Json | None, now: float) -> Sighting | None:
    """Why a container of the pod does not start."""
    waited_s = now - when(pod["status"].get("startTime"))
    for status in _statuses(pod):
        if waiting := status.get("state", {}).get("waiting"):
            return _why_waiting(status, waiting, warning or {}, waited_s)
    return None


def _why_waiting(status: Json, waiting: Json, warning: Json, waited_s: float) -> Sighting:
    reason, message = waiting.get("reason", ""), shortened(waiting.get("message", ""))
    image, warned = status.get("image", ""), shortened(warning.get("message", ""))
    if reason in ("InvalidImageName", "ErrImageNeverPull"):
        return hopeless(f"the image {image!r} cannot be used ({reason}): {message}", "correct image=")
    if reason in _PULL:
        detailed = "rpc error" in message or "failed" in message.lower()
        return _not_pulled(image, message if detailed else warned or message, waited_s)
    if reason in _CONFIG:
        return not_yet(
            f"its container cannot be made: {message}",
            "check secrets=, volumes= and the image's user",
            waited_s,
        )
    if warning.get("reason") in ("FailedMount", "FailedAttachVolume"):
        waited_s = waited_s if "not found" in warned else 0.0
        return not_yet(f"a volume cannot be mounted: {warned}", "check volumes= and secrets=", waited_s)
    if reason == "CrashLoopBackOff":
        return Sighting(phase=Phase.QUEUED, reason=f"container {status['name']!r} crashes again and again")
    return Sighting(phase=Phase.QUEUED, reason="its pod is being made ready: image, volumes, network")


def _not_pulled(image: str, told: str, waited_s: float) -> Sighting:
    if _NO_SUCH_IMAGE.search(told) or waited_s > _PULL_PATIENCE_S:
        return hopeless(
            f"the image {image!r} cannot be pulled: {told}",
            "check its name and tag, that the registry can be reached, and image_pull_secrets=",
        )
    return Sighting(phase=Phase.QUEUED, reason=f"the image {image!r} is not pulled yet: {told}")


def not_yet(what: str, next_step: str, waited_s: float) -> Sighting:
    """Return where it stands with what may come right within moments, and then no more."""
    return (
        hopeless(what, next_step)
        if waited_s > _CONFIG_PATIENCE_S
        else Sighting(phase=Phase.QUEUED, reason=what)
    )


def hopeless(what: str, next_step: str) -> Sighting:
    """Return the end of what another attempt would not help."""
    return Sighting(phase=Phase.FAILED, reason=f"{what}\nNext step: {next_step}")


def end_of(pod: Json) -> Sighting | None:
    """Return how the pod's training ended; None where it has not."""
    end = terminated(pod)
    if end and end["exitCode"] == 0:
        return Sighting(phase=Phase.SUCCEEDED, exit_code=0)
    if pod["status"].get("phase") != "Failed" and not end:
        return None
    found = _platforms_doing(pod, end) or _own_doing(pod, end)
    return replace(found, exit_code=end["exitCode"] if end and found.exit_code is None else found.exit_code)


def _platforms_doing(pod: Json, end: Json | None) -> Sighting | None:
    status = pod["status"]
    if end and end.get("reason") == "OOMKilled":
        return None
    if status.get("reason") == "Evicted":
        return _evicted(shortened(status.get("message", "")))
    if found := _disrupted(pod):
        return found
    if not end or end.get("reason") == "ContainerStatusUnknown":
        said = status.get("message") or status.get("reason") or "its node lost sight of it"
        return Sighting(phase=Phase.INTERRUPTED, reason=shortened(said))
    if pod["metadata"].get("deletionTimestamp"):
        return Sighting(phase=Phase.INTERRUPTED, reason="its pod was deleted")
    return None


def _disrupted(pod: Json) -> Sighting | None:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            said = _DISRUPTIONS.get(condition.get("reason", ""), condition.get("message", "disrupted"))
            return Sighting(phase=Phase.INTERRUPTED, reason=said)
    return None


def _own_doing(pod: Json, end: Json | None) -> Sighting:
    assert end is not None  # without, it was the platform
    code: int = end["exitCode"]
    if end.get("reason") == "OOMKilled":
        limit = _limit(pod, "memory")
        return hopeless(
            f"it ran out of memory (OOMKilled){f' at its limit of {limit}' if limit else ''}",
            'give it more: train(…, resources={"memory": "8Gi"}), or use less',
        )
    if end.get("reason") in ("ContainerCannotRun", "StartError"):
        return hopeless(
            f"its program cannot be started: {shortened(end.get('message', ''))}",
            "check that the image holds it (Python and mltemporal, or command=)",
        )
    if code > 128 and (name := _signal(code - 128)):
        return Sighting(phase=Phase.INTERRUPTED, exit_code=128 - code, reason=f"it was killed by {name}")
    return Sighting(phase=Phase.FAILED, reason=f"it ended with exit code {code}")


def _evicted(message: str) -> Sighting:
    if "exceed" in message.lower() and ("local ephemeral" in message or "total limit" in message):
        return hopeless(
            f"it wrote more than it may: {message}",
            'give it more: train(…, resources={"ephemeral-storage": "20Gi"}), or mount a volume',
        )
    return Sighting(phase=Phase.INTERRUPTED, reason=f"evicted: {message}")


def _node(pod: Json) -> str:
    return str(pod["spec"].get("nodeName", ""))


def is_over(pod: Json) -> bool:
    """Whether the whole pod has ended."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def terminated(pod: Json) -> Json | None:
    """Return how the training's container ended; None where it has not."""
    end: Json | None = (container_of(pod) or {}).get("state", {}).get("terminated")
    return end


def container_of(pod: Json) -> Json | None:
    """Return the status of the training's container; None before there is one."""
    statuses: list[Json] = pod["status"].get("containerStatuses", [])
    return next((status for status in statuses if status["name"] == CONTAINER), None)


def _statuses(pod: Json) -> list[Json]:
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _limit(pod: Json, name: str) -> str:
    containers: list[Json] = pod["spec"]["containers"]
    container = next((c for c in containers if c["name"] == CONTAINER), {})
    return str(container.get("resources", {}).get("limits", {}).get(name, ""))


def finished(pod: Json) -> tuple[bool, str]:
    """Return what sorts pods by when they ended; times have seconds only.

    Those that were deleted for no reason of their own come last: they ended because another had.
    """
    followed = bool(pod["metadata"].get("deletionTimestamp")) and _disrupted(pod) is None
    return followed, str(
        (terminated(pod) or {}).get("finishedAt") or pod["metadata"].get("deletionTimestamp") or "9"
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def when(text: str | None) -> float:
    """Return a time of the cluster in seconds since the epoch; a time that has not come is far away."""
    return datetime.fromisoformat(text).timestamp() if text else float("inf")


def shortened(message: str) -> str:
    """Return a message of the cluster as one line of bounded length."""
    return " ".join(message.split())[:600]
