"""Why a Job is not running, or how it ended, in one sentence, and whether another attempt helps.

`QUEUED` and `RUNNING` wait on; `INTERRUPTED` is worth another attempt; `FAILED` is not. A Job that
Kubernetes would let wait for ever (a bad image name) is FAILED here, whatever its own status says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mltemporal.launchers.base import Phase, Sighting
from mltemporal.launchers.kubernetes.cluster import JobState
from mltemporal.launchers.kubernetes.manifest import STOPPED
from mltemporal.launchers.kubernetes.pods import (
    end_of,
    finished,
    hopeless,
    is_over,
    look,
    not_yet,
    shortened,
    terminated,
    when,
)

Json = dict[str, Any]

_NOT_ALLOWED = re.compile(r"is forbidden: (?!exceeded quota)|violates PodSecurity", re.IGNORECASE)


def sighting(state: JobState, now: float) -> Sighting:
    """Return phase and reason of a Job; ``now`` in seconds since the epoch."""
    return _finished(state) or _stopping(state) or _ended(state) or _waiting(state, now)


def _finished(state: JobState) -> Sighting | None:
    """The Job says itself that it has ended."""
    conditions = state.job.get("status", {}).get("conditions", [])
    finished = {each["type"]: each for each in conditions if each.get("status") == "True"}
    if "Complete" in finished:
        return Sighting(phase=Phase.SUCCEEDED, exit_code=0)
    if "Failed" not in finished:
        return None
    if STOPPED not in _annotations(state) and finished["Failed"].get("reason") == "DeadlineExceeded":
        return hopeless("its time was over", "give it more: train(…, timeout='48h')")
    if STOPPED in _annotations(state):
        return _stopped(state)
    return _first_end([*state.gone, *state.pods]) or Sighting(
        phase=Phase.INTERRUPTED, reason="its pod is gone: deleted, or its node was lost"
    )


def _stopping(state: JobState) -> Sighting | None:
    """Somebody ended it, or halted it."""
    if STOPPED in _annotations(state):
        return Sighting(phase=Phase.RUNNING, reason="stopping") if _active(state) else _stopped(state)
    if state.job["metadata"].get("deletionTimestamp") and not _active(state):
        return Sighting(phase=Phase.INTERRUPTED, reason="its Job was deleted")
    return Sighting(phase=Phase.SUSPENDED) if state.job["spec"].get("suspend") else None


def _ended(state: JobState) -> Sighting | None:
    """Every training in it has ended, which the Job does not say yet, or never will: other containers run."""
    ends = [terminated(pod) for pod in state.pods]
    if sum(1 for end in ends if end and end["exitCode"] == 0) >= state.job["spec"].get("completions", 1):
        return Sighting(phase=Phase.SUCCEEDED, exit_code=0)
    first = _first_end(state.pods)
    if first is None:
        return None
    if any(not is_over(pod) and not terminated(pod) for pod in state.pods):
        return Sighting(phase=Phase.RUNNING, reason="one of its pods has ended, the others are being ended")
    return first


def _waiting(state: JobState, now: float) -> Sighting:
    if not state.pods:
        return _without_pod(state, now)
    found = [look(pod, state.warnings.get(pod["metadata"]["name"]), now) for pod in state.pods]
    # One pod tells of all: the one that ends the attempt, else the one that holds it up.
    order = (Phase.FAILED, Phase.INTERRUPTED, Phase.QUEUED, Phase.RUNNING, Phase.SUCCEEDED)
    worst = min(found, key=lambda each: order.index(each.phase))
    return Sighting(phase=Phase.RUNNING) if worst.phase is Phase.SUCCEEDED else worst


def _without_pod(state: JobState, now: float) -> Sighting:
    warning = state.warnings.get(state.job["metadata"]["name"])
    if warning is None or warning.get("reason") != "FailedCreate":
        return Sighting(phase=Phase.QUEUED, reason="waiting for its pod to be made")
    message = shortened(warning.get("message", ""))
    if "exceeded quota" in message:
        return Sighting(
            phase=Phase.QUEUED, reason=f"the namespace's quota is used up, it waits for room: {message}"
        )
    if "not found" in message:  # a service account, say: a new namespace has its own only after a moment
        waited_s = now - when(state.job["metadata"]["creationTimestamp"])
        return not_yet(
            f"its pod cannot be made: {message}", "make what is missing, or name another", waited_s
        )
    if _NOT_ALLOWED.search(message):
        return hopeless(
            f"the cluster does not allow its pod: {message}",
            "correct the pod template, or ask who runs the namespace",
        )
    return Sighting(phase=Phase.QUEUED, reason=f"its pod cannot be made yet: {message}")


def _stopped(state: JobState) -> Sighting:
    ended = [end for end in map(terminated, state.pods) if end]
    code = ended[0]["exitCode"] if ended else None
    return Sighting(phase=Phase.INTERRUPTED, exit_code=code, reason="stopped")


def _first_end(pods: Iterable[Json]) -> Sighting | None:
    """How the first of the pods ended that did not succeed; the others end because of it."""
    ends = [(finished(pod), end_of(pod)) for pod in pods]
    bad = [(at, end) for at, end in ends if end is not None and end.phase is not Phase.SUCCEEDED]
    return min(bad, key=lambda each: each[0])[1] if bad else None


def _active(state: JobState) -> bool:
    return any(not is_over(pod) for pod in state.pods)


def _annotations(state: JobState) -> Json:
    found: Json = state.job["metadata"].get("annotations", {})
    return found
