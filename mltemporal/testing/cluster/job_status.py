"""A Job's status: what its pods' ends mean for it. Changes the status it is given, nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mltemporal.testing.cluster import conditions, job_pods, times
from mltemporal.testing.cluster.failure_policy import judge
from mltemporal.testing.cluster.store import Object


@dataclass
class Ended:
    """The pods that were counted, and what was learned from them."""

    pods: list[Object] = field(default_factory=list)
    verdict: str = ""
    """Why the failure policy fails the Job; may be empty."""
    failures: int = 0


def count_ended(job: Object, pods: list[Object]) -> Ended:
    """Count the pods that ended since the last time."""
    counts = job["status"]
    indexes = job_pods.parse_indexes(counts.get("completedIndexes", ""))
    ended = Ended()
    for pod in filter(job_pods.tracked, pods):
        if job_pods.phase(pod) == "Succeeded":
            index = job_pods.index_of(pod)
            if index is None or index not in indexes:
                counts["succeeded"] = counts.get("succeeded", 0) + 1
            if index is not None:
                indexes.add(index)
        elif job_pods.failed(pod, job):
            judged = judge(job, pod)
            ended.verdict = ended.verdict or judged.fails_job
            ended.failures += judged.counts
        else:
            continue
        ended.pods.append(pod)
    if ended.failures:
        counts["failed"] = counts.get("failed", 0) + ended.failures
    if job["spec"]["completionMode"] == "Indexed":
        counts["completedIndexes"] = job_pods.show_indexes(indexes)
    return ended


def decide(job: Object, pods: list[Object], verdict: str) -> None:
    """Set FailureTarget or SuccessCriteriaMet, once one of them is due."""
    if conditions.holds(job, "FailureTarget") or conditions.holds(job, "SuccessCriteriaMet"):
        return
    spec, counts = job["spec"], job["status"]
    restarts = sum(map(job_pods.restarts, pods))
    left = seconds_left(job)
    if verdict:
        _set(job, "FailureTarget", "PodFailurePolicy", verdict)
    elif max(counts.get("failed", 0), restarts) > spec["backoffLimit"]:
        _set(job, "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    elif left is not None and left <= 0 and not spec["suspend"]:
        _set(job, "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    elif _enough(job, pods):
        message = "Reached expected number of succeeded pods"
        _set(job, "SuccessCriteriaMet", "CompletionsReached", message)


def _enough(job: Object, pods: list[Object]) -> bool:
    succeeded, wanted = job["status"].get("succeeded", 0), job["spec"].get("completions")
    if wanted is not None:
        return bool(succeeded >= wanted)
    return succeeded > 0 and not any(map(job_pods.active, pods))  # a work queue: the first success ends it


def _set(job: Object, kind: str, reason: str, message: str) -> None:
    conditions.put(job, kind, "True", reason, message, probed=True)


def count_running(job: Object, pods: list[Object]) -> None:
    """Count the pods that have not ended."""
    counts = job["status"]
    active = [pod for pod in pods if job_pods.active(pod)]
    counts["active"] = len(active)
    counts["ready"] = sum(conditions.holds(pod, "Ready") for pod in active)
    counts["terminating"] = sum(job_pods.leaving(pod) and not job_pods.terminal(pod) for pod in pods)
    counts["uncountedTerminatedPods"] = {}
    if not active:
        del counts["active"]


def finished(job: Object) -> bool:
    """Tell whether the Job is Complete or Failed."""
    return conditions.holds(job, "Complete") or conditions.holds(job, "Failed")


def seconds_left(job: Object) -> float | None:
    """Return the time until the Job's deadline; None if it has none, or has not started."""
    started, limit = job["status"].get("startTime"), job["spec"].get("activeDeadlineSeconds")
    if started is None or limit is None:
        return None
    return float(times.seconds_since_1970(started) + limit - time.time())


def seconds_to_keep(job: Object) -> float | None:
    """Return the time until a finished Job is to be removed; None if it stays."""
    ttl_s = job["spec"].get("ttlSecondsAfterFinished")
    final = conditions.find(job, "Complete") or conditions.find(job, "Failed")
    if ttl_s is None or final is None or job["metadata"].get("deletionTimestamp"):
        return None
    return float(times.seconds_since_1970(final["lastTransitionTime"]) + ttl_s - time.time())
