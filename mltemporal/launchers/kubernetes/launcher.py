"""The `Launcher` for a Kubernetes cluster: an attempt is a Job of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mltemporal.errors import InvalidRequest, NotFound, ServiceUnavailable
from mltemporal.launchers.base import Phase, Sighting
from mltemporal.launchers.kubernetes import checking
from mltemporal.launchers.kubernetes.api import Api, Conflict, Json
from mltemporal.launchers.kubernetes.cluster import Cluster
from mltemporal.launchers.kubernetes.diagnosis import sighting
from mltemporal.launchers.kubernetes.manifest import (
    KEY,
    OWNER,
    STOPPED,
    deadline_s,
    job_manifest,
    ranks_meet,
    service_manifest,
)
from mltemporal.launchers.kubernetes.output import Cursor, RankOutput
from mltemporal.settings import ClusterSettings, Settings
from mltemporal.specs.request import JobSpec

_SLACK_S = 30.0
"""Beyond a pod's own grace, until its end is forced, or its disappearance no longer waited for."""
_SUSPENDED_WITHIN_S = 20.0
_FIELDS = {"fieldValidation": "Strict"}
"""A misspelt field is an error, not ignored."""


class KubernetesLauncher:
    """Starts, finds, follows, suspends, stops and deletes the Jobs of one owner (a database).

    Any number of processes may use it at once. The connection is opened on first use, and belongs
    to the event loop of that moment.
    """

    def __init__(self, settings: ClusterSettings, *, storage_url: str, owner: str) -> None:
        self._settings = settings
        self._storage_url = storage_url
        self._owner = owner
        self._opening = asyncio.Lock()
        self._cluster: Cluster | None = None

    @classmethod
    def of(cls, settings: Settings, owner: str) -> KubernetesLauncher:
        """Return the launcher of the cluster and storage that the settings name."""
        return cls(settings.cluster, storage_url=settings.storage_url, owner=owner)

    # On the kernel's side

    def check(self, spec: JobSpec) -> None:
        """Refuse, in words, what can be seen to be wrong without asking the cluster."""
        checking.check_spec(spec, self._settings, storage_url=self._storage_url)

    def prepare(self, key: str) -> None:
        """Nothing of the kernel goes into a pod beside what the job's spec says."""

    async def rehearse(self, spec: JobSpec) -> str:
        """Have the cluster check the Job without creating it; return where that was, and what it warned of.

        Raises:
            InvalidRequest: the cluster would refuse it; says why.
            ServiceUnavailable: the cluster does not answer.
        """
        api = await Api.open(self._settings)
        try:
            job = job_manifest(spec, 1, self._settings, storage_url=self._storage_url, owner=self._owner)
            with _namespace_named(api):
                warnings = await api.rehearse(api.path("jobs"), job, **_FIELDS)
            return "; the cluster warns: ".join([f"namespace {api.namespace!r} of {api.server}", *warnings])
        finally:
            await api.close()

    # On the worker's side

    async def close(self) -> None:
        """End the watches and the connections; Jobs go on."""
        if self._cluster is not None:
            cluster, self._cluster = self._cluster, None
            await cluster.close()

    async def start(self, spec: JobSpec, attempt: int) -> None:
        """Create the attempt's Job, and the Service of one whose ranks meet. Idempotent by name."""
        self.check(spec)
        cluster = await self._ready()
        job = job_manifest(spec, attempt, self._settings, storage_url=self._storage_url, owner=self._owner)
        try:
            with _namespace_named(cluster.api):
                created = await cluster.api.create(cluster.api.path("jobs"), job, **_FIELDS)
        except Conflict:
            created = await self._adopt(cluster, job)
        cluster.jobs.put(created)
        if ranks_meet(spec):
            try:
                service = service_manifest(spec, attempt, created)
                await cluster.api.create(cluster.api.path("services"), service, **_FIELDS)
            except Conflict:
                return  # made when the Job was

    async def find(self, name: str) -> Sighting | None:
        """Return the Job's phase, without output; None where there is no such Job."""
        cluster = await self._ready()
        state = cluster.state(name)
        if state is None:
            try:
                found = await cluster.api.get(cluster.api.path("jobs", name))
            except NotFound:
                return None
            if found["metadata"].get("labels", {}).get(OWNER) != self._owner:
                return None  # of that name, and not ours: never touched
            cluster.jobs.put(found)
            state = cluster.state(name)
        return None if state is None else sighting(state, time.time())

    async def follow(
        self, name: str, position: int, cursor: str = "", rank: int = 0
    ) -> AsyncIterator[Sighting]:
        """Yield a sighting on every change, at least each second, output from ``position`` on."""
        cluster = await self._ready()
        if await self.find(name) is None:
            raise NotFound(f"there is no Job {name!r}", "it was deleted; start the job again")
        begin = Cursor.parse(cursor)
        output = RankOutput(cluster, name, rank, begin, skip=0 if begin.ns else position)
        last, said_at = None, 0.0
        try:
            while True:
                seen = self._look(cluster, name)
                ended = seen.phase.final and output.finished
                if output.trouble and not seen.phase.final:
                    seen = replace(seen, reason=seen.reason or output.trouble)
                text, cursor = output.take()
                position += len(text)
                if text or ended or (seen.phase, seen.reason) != last or time.monotonic() - said_at >= 1.0:
                    last, said_at = (seen.phase, seen.reason), time.monotonic()
                    phase = Phase.RUNNING if seen.phase.final and not ended else seen.phase
                    yield replace(seen, phase=phase, output=text, position=position, cursor=cursor)
                if ended:
                    return
                await _first(cluster.change(name, 1.0), output.arrived.wait())
        finally:
            await output.close()

    async def suspend(self, name: str) -> None:
        """End the Job's pods gracefully and keep the Job; what they saved as checkpoint goes on later."""
        cluster = await self._ready()
        if await self._patch(cluster, name, {"spec": {"suspend": True}}):
            await self._until_no_pod(cluster, name, _SUSPENDED_WITHIN_S)

    async def resume(self, name: str) -> None:
        """Let a suspended Job make its pods anew."""
        await self._patch(await self._ready(), name, {"spec": {"suspend": False}})

    async def allow(self, name: str, time_s: float) -> None:
        """Move the Job's own deadline."""
        await self._patch(await self._ready(), name, {"spec": {"activeDeadlineSeconds": deadline_s(time_s)}})

    async def stop(self, name: str, grace_s: float) -> None:
        """End the Job's pods: SIGTERM, after ``grace_s`` by force; returns when they are gone."""
        cluster = await self._ready()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        change = {"metadata": {"annotations": {STOPPED: now}}, "spec": {"suspend": True}}
        # Also one that is hopeless, by its pod: the Job itself would make no end of it, or only later.
        await self._patch(cluster, name, change, even_ended=bool(cluster.alive(name)))
        if await self._until_no_pod(cluster, name, grace_s):
            return
        for grace in (1, 0):  # 0 also where the node does not answer
            for pod in cluster.alive(name):
                await cluster.api.delete(cluster.api.path("pods", pod), gracePeriodSeconds=grace)
            if await self._until_no_pod(cluster, name, _SLACK_S):
                return
        raise ServiceUnavailable(f"the pods of {name!r} do not end", "look at them with kubectl")

    async def delete(self, name: str) -> None:
        """Remove a Job that has ended, with its pods and its Service; returns when the pods are gone."""
        seen = await self.find(name)
        cluster = await self._ready()
        if seen is None or not seen.phase.final:
            return
        await cluster.api.delete(cluster.api.path("jobs", name), propagationPolicy="Foreground")
        deadline = time.monotonic() + _SLACK_S
        while cluster.state(name) is not None and time.monotonic() < deadline:
            await cluster.change(name, 1.0)

    async def forget(self, key: str) -> None:
        """Nothing is kept for a job beside its Jobs."""

    async def kept(self) -> dict[str, float]:
        """Nothing is kept, so there is none."""
        return {}

    async def names(self) -> list[str]:
        """Return the names of all Jobs of this owner, ended ones included, that were not deleted."""
        return sorted((await self._ready()).jobs.objects)

    # Below

    async def _ready(self) -> Cluster:
        async with self._opening:
            if self._cluster is None:
                self._cluster = Cluster(await Api.open(self._settings), self._owner)
            cluster = self._cluster
        try:
            await cluster.ready()
        except ServiceUnavailable:
            if not cluster.known:  # nothing was ever seen: another try connects anew
                if self._cluster is cluster:  # several may have waited for it
                    await self.close()
                raise
        return cluster

    async def _adopt(self, cluster: Cluster, job: Json) -> Json:
        """Return the Job that has this name already, if it is the one that would have been created."""
        labels = job["metadata"]["labels"]
        found = await cluster.api.get(cluster.api.path("jobs", job["metadata"]["name"]))
        theirs = found["metadata"].get("labels", {})
        if any(theirs.get(label) != labels[label] for label in (OWNER, KEY)):
            raise InvalidRequest(
                f"the cluster has a Job {job['metadata']['name']!r} that is not ours",
                "look at it with kubectl, and delete it if it is nobody's",
            )
        return found

    def _look(self, cluster: Cluster, name: str) -> Sighting:
        state = cluster.state(name)
        if state is None:
            phase = Phase.RUNNING if cluster.alive(name) else Phase.INTERRUPTED
            return Sighting(phase=phase, reason="its Job was deleted")
        seen = sighting(state, time.time())
        if cluster.trouble is not None and not seen.phase.final:
            return replace(seen, reason=f"{cluster.trouble.what}; what is shown may be old")
        return seen

    async def _patch(self, cluster: Cluster, name: str, change: Json, *, even_ended: bool = False) -> bool:
        """Change the Job; returns whether there is one, that has not ended."""
        seen = await self.find(name)
        if seen is None or (seen.phase.final and not even_ended):
            return False
        try:
            cluster.jobs.put(await cluster.api.patch(cluster.api.path("jobs", name), change))
        except NotFound:
            return False
        return True

    async def _until_no_pod(self, cluster: Cluster, name: str, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while cluster.alive(name):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            await cluster.change(name, min(1.0, left))
        return True


@contextmanager
def _namespace_named(api: Api) -> Iterator[None]:
    """Say what a 404 means where a Job is created: it is the namespace that is missing."""
    try:
        yield
    except NotFound as error:
        raise InvalidRequest(
            f"there is no namespace {api.namespace!r}: {error.what}",
            "create it, or name another: MLTEMPORAL_KUBERNETES_NAMESPACE",
        ) from error


async def _first(*waits: object) -> None:
    """Return as soon as one of the waits has, and end the others."""
    tasks = [asyncio.ensure_future(each) for each in waits]  # type: ignore[call-overload]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
