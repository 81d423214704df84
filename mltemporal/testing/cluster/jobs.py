"""The Job controller: pods for Jobs, and their status."""

from __future__ import annotations

import time

from mltemporal.testing.cluster import admission, conditions, job_pods, job_status, times
from mltemporal.testing.cluster.defaults import TRACKING
from mltemporal.testing.cluster.deletion import delete
from mltemporal.testing.cluster.events import Recorder
from mltemporal.testing.cluster.garbage import without_finalizer
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Entry, Object, Store, copied, key_of
from mltemporal.testing.cluster.workqueue import WorkQueue

_COMPONENT = "job-controller"


class JobController:
    """Brings each Job's pods and status to what its spec says; looks again at every change."""

    def __init__(self, store: Store, recorder: Recorder, settings: Settings) -> None:
        self._store = store
        self._recorder = recorder
        self._settings = settings
        self.queue = WorkQueue(self._sync)
        self._not_before: dict[str, float] = {}
        """By uid: when a Job may create pods again."""
        self._refusals: dict[str, int] = {}
        self._uncounted: dict[str, set[str]] = {}
        """By the key of their Job: the uids of pods with the tracking finalizer."""

    def observe(self, entry: Entry) -> None:
        """Note which Job a change concerns."""
        if entry.resource == "jobs":
            self.queue.add("/".join(key_of(entry.object)))
        elif entry.resource == "pods":
            key = job_pods.job_key(entry.object)
            if key is not None:
                self._note("/".join(key), entry)
                self.queue.add("/".join(key))

    def _note(self, key: str, entry: Entry) -> None:
        uids = self._uncounted.setdefault(key, set())
        uid = entry.object["metadata"]["uid"]
        if entry.type != "DELETED" and job_pods.tracked(entry.object):
            uids.add(uid)
        else:
            uids.discard(uid)
        if not uids:
            del self._uncounted[key]

    def _sync(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        job = self._store.find("jobs", namespace, name)
        self._release_strangers(namespace, name, job)
        if job is None:
            return
        pods = job_pods.of(self._store, job)
        if job_status.finished(job):
            for pod in filter(job_pods.tracked, pods):
                self._release(pod)
            self._expire(key, job)
            return
        status = copied(job)
        if status["status"].get("startTime") is None and not job["spec"]["suspend"]:
            status["status"]["startTime"] = times.now()
        ended = job_status.count_ended(status, pods)
        if ended.failures:
            self._hold_back(status)
        for pod in ended.pods:
            self._release(pod)
        job_status.decide(status, pods, ended.verdict)
        if not conditions.holds(status, "FailureTarget"):
            self._manage(key, job, status)
        self._conclude(job, status)
        job_status.count_running(status, job_pods.of(self._store, job))
        self._store.modify("jobs", (namespace, name), lambda body: body.update(status=status["status"]))
        left = job_status.seconds_left(status)
        if left is not None and not job_status.finished(status):
            self.queue.add(key, max(left, 0.05))

    def _conclude(self, job: Object, status: Object) -> None:
        """Once no pod is left running: Complete or Failed."""
        for target, final in (("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")):
            met = conditions.find(status, target)
            if met is None or met["status"] != "True":
                continue
            for pod in filter(job_pods.active, job_pods.of(self._store, job)):
                self._delete(job, pod)
            if all(map(job_pods.terminal, job_pods.of(self._store, job))):
                conditions.put(status, final, "True", met["reason"], met["message"], probed=True)
                if final == "Complete":
                    status["status"]["completionTime"] = times.now()
                    self._record(job, "Normal", "Completed", "Job completed")
                else:
                    self._record(job, "Warning", met["reason"], met["message"])
            return

    # What pods there should be

    def _manage(self, key: str, job: Object, status: Object) -> None:
        pods = job_pods.of(self._store, job)
        if job["spec"]["suspend"]:
            for pod in filter(job_pods.active, pods):
                self._release(pod)  # so that it does not count as failed
                self._delete(job, pod)
            if not conditions.holds(status, "Suspended"):
                conditions.put(status, "Suspended", "True", "JobSuspended", "Job suspended", probed=True)
                self._record(job, "Normal", "Suspended", "Job suspended")
            status["status"].pop("startTime", None)
            return
        if conditions.holds(status, "Suspended"):
            conditions.put(status, "Suspended", "False", "JobResumed", "Job resumed", probed=True)
            status["status"]["startTime"] = times.now()
            self._record(job, "Normal", "Resumed", "Job resumed")
        if job["metadata"].get("deletionTimestamp") or conditions.holds(status, "SuccessCriteriaMet"):
            return
        waiting_s = self._not_before.get(job["metadata"]["uid"], 0) - time.monotonic()
        if waiting_s > 0:
            self.queue.add(key, waiting_s)
            return
        self._create_missing(key, job, status, pods)

    def _create_missing(self, key: str, job: Object, status: Object, pods: list[Object]) -> None:
        spec = job["spec"]
        late = spec["podReplacementPolicy"] == "Failed"  # only when a pod has ended, its successor starts
        there = [
            pod
            for pod in pods
            if job_pods.active(pod) or (late and job_pods.leaving(pod) and not job_pods.terminal(pod))
        ]
        succeeded = status["status"].get("succeeded", 0)
        wanted = spec["parallelism"]
        if spec.get("completions") is not None:
            wanted = min(wanted, spec["completions"] - succeeded)
        elif succeeded:
            wanted = len(there)
        for pod in filter(job_pods.active, there[wanted:] if wanted < len(there) else ()):
            self._release(pod)
            self._delete(job, pod)
        indexes: list[int | None] = [None] * (wanted - len(there))
        if spec["completionMode"] == "Indexed":
            taken = {job_pods.index_of(pod) for pod in there}
            taken |= job_pods.parse_indexes(status["status"].get("completedIndexes", ""))
            free = [index for index in range(spec["completions"]) if index not in taken]
            indexes = [*free[: len(indexes)]]
        for index in indexes:
            if not self._create(key, job, index):
                return

    def _create(self, key: str, job: Object, index: int | None) -> bool:
        uid = job["metadata"]["uid"]
        try:
            pod = admission.create(
                self._store, "pods", job["metadata"]["namespace"], job_pods.made_for(job, index)
            )
        except ApiError as error:
            self._refusals[uid] = refusals = self._refusals.get(uid, 0) + 1
            wait_s = min(60, self._settings.create_retry_s * 2 ** (refusals - 1))
            self._not_before[uid] = time.monotonic() + wait_s
            self.queue.add(key, wait_s)
            self._record(job, "Warning", "FailedCreate", f"Error creating: {error.message}")
            return False
        self._refusals.pop(uid, None)
        self._record(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        return True

    # Small things

    def _hold_back(self, status: Object) -> None:
        failures = status["status"]["failed"]
        wait_s = min(600, self._settings.pod_failure_backoff_s * 2 ** (failures - 1))
        self._not_before[status["metadata"]["uid"]] = time.monotonic() + wait_s

    def _expire(self, key: str, job: Object) -> None:
        left = job_status.seconds_to_keep(job)
        if left is not None and left > 0:
            self.queue.add(key, left)
        elif left is not None:
            delete(self._store, "jobs", key_of(job), {"propagationPolicy": "Foreground"})

    def _delete(self, job: Object, pod: Object) -> None:
        if self._store.by_uid(pod["metadata"]["uid"]) is not None:
            delete(self._store, "pods", key_of(pod))
        self._record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _release(self, pod: Object) -> None:
        if self._store.by_uid(pod["metadata"]["uid"]) is not None:
            self._store.modify("pods", key_of(pod), without_finalizer(TRACKING))

    def _release_strangers(self, namespace: str, name: str, job: Object | None) -> None:
        """Let go of pods whose Job is gone, or no longer owns them."""
        for uid in list(self._uncounted.get(f"{namespace}/{name}", ())):
            found = self._store.by_uid(uid)
            if found is None:
                continue
            pod = found[1]
            if job is None or not job_pods.belongs(pod, job) or not pod["metadata"].get("ownerReferences"):
                self._release(pod)

    def _record(self, job: Object, type_: str, reason: str, message: str) -> None:
        self._recorder.record(job, type_, reason, message, _COMPONENT)
