"""What a worker knows of the Jobs that its database's workers made: three watches, whatever their number."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mltemporal.errors import ServiceUnavailable
from mltemporal.launchers.kubernetes.api import Api
from mltemporal.launchers.kubernetes.manifest import selector
from mltemporal.launchers.kubernetes.pods import is_over
from mltemporal.launchers.kubernetes.reflector import Reflector

Json = dict[str, Any]

_JOB_OF_POD = "batch.kubernetes.io/job-name"


@dataclass(frozen=True)
class JobState:
    """One Job, its pods (oldest first), and the newest warning about each of them by object name."""

    job: Json
    pods: tuple[Json, ...]
    gone: tuple[Json, ...]
    """Pods that are no more, as they were last: an evicted one goes before its Job says that it failed."""
    warnings: dict[str, Json]


class Cluster:
    """The Jobs, pods and warnings of one owner in one namespace; belongs to one event loop."""

    def __init__(self, api: Api, owner: str) -> None:
        self.api = api
        ours = selector(owner)
        self.jobs = Reflector(api, "jobs", self._job_changed, label_selector=ours)
        self._pods = Reflector(api, "pods", self._pod_changed, label_selector=ours)
        self._events = Reflector(api, "events", self._warned, field_selector="type=Warning")
        self._pods_of: dict[str, dict[str, Json]] = defaultdict(dict)
        self._gone: dict[str, list[Json]] = defaultdict(list)
        self._warnings: dict[str, Json] = {}
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks = [
            asyncio.create_task(each.run(), name=f"watch {name}")
            for name, each in (("jobs", self.jobs), ("pods", self._pods), ("events", self._events))
        ]

    async def close(self) -> None:
        """End the watches and the connections."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.api.close()

    async def ready(self) -> None:
        """Wait until jobs and pods are known.

        Raises:
            ServiceUnavailable: the cluster does not answer, or does not let us watch; says which.
        """
        await self.jobs.heard.wait()
        await self._pods.heard.wait()
        if self.trouble is not None:
            raise self.trouble

    @property
    def known(self) -> bool:
        """Whether jobs and pods were seen at least once, however long ago."""
        return self.jobs.synced and self._pods.synced

    @property
    def trouble(self) -> ServiceUnavailable | None:
        """Why what is known may be old; None while the watches run. (Warnings are a help, not a need.)"""
        error = self.jobs.trouble or self._pods.trouble
        return None if error is None else ServiceUnavailable(error.what, error.next_step)

    def state(self, name: str) -> JobState | None:
        """Return what is known of the Job of this name; None where there is none."""
        job = self.jobs.objects.get(name)
        if job is None:
            return None
        pods = sorted(
            self._pods_of.get(name, {}).values(), key=lambda pod: pod["metadata"]["creationTimestamp"]
        )
        about = [name, *(pod["metadata"]["name"] for pod in pods)]
        return JobState(
            job,
            tuple(pods),
            tuple(self._gone.get(name, ())),
            {each: self._warnings[each] for each in about if each in self._warnings},
        )

    def alive(self, name: str) -> list[str]:
        """Return the pods that run under the name of a Job, whether or not there still is one."""
        return [pod for pod, found in self._pods_of.get(name, {}).items() if not is_over(found)]

    async def change(self, name: str, within_s: float) -> None:
        """Wait until something about the Job changes, at most so long."""
        changed = asyncio.Event()
        self._waiting[name].add(changed)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):  # before Python 3.12 `wait_for` may lose a cancellation
                    await changed.wait()
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]

    def _job_changed(self, job: Json) -> None:
        name = job["metadata"]["name"]
        if name not in self.jobs.objects:
            self._gone.pop(name, None)
        self._wake(name)

    def _pod_changed(self, pod: Json) -> None:
        name, job = pod["metadata"]["name"], pod["metadata"]["labels"].get(_JOB_OF_POD, "")
        if name in self._pods.objects:
            self._pods_of[job][name] = pod
        else:
            self._pods_of[job].pop(name, None)
            if job in self.jobs.objects and not self.jobs.objects[job]["spec"].get("suspend"):
                self._gone[job].append(pod)
            if not self._pods_of[job]:
                del self._pods_of[job]
        self._wake(job)

    def _warned(self, event: Json) -> None:
        name = event.get("involvedObject", {}).get("name", "")
        known = self._warnings.get(name)
        if event["metadata"]["name"] not in self._events.objects:  # the cluster has forgotten it
            if known is event:
                del self._warnings[name]
        elif known is None or _when(event) >= _when(known):
            self._warnings[name] = event
            pod = self._pods.objects.get(name)
            self._wake(name if pod is None else pod["metadata"]["labels"].get(_JOB_OF_POD, ""))

    def _wake(self, job: str) -> None:
        for event in self._waiting.get(job, ()):
            event.set()


def _when(event: Json) -> str:
    return str(
        (event.get("series") or {}).get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )
