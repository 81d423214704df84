"""Everything behind the API server: the store, the controllers, the scheduler and the kubelets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from mltemporal.testing.cluster import disruptions, nodes, quotas
from mltemporal.testing.cluster.events import Recorder
from mltemporal.testing.cluster.faults import Faults
from mltemporal.testing.cluster.garbage import GarbageCollector
from mltemporal.testing.cluster.jobs import JobController
from mltemporal.testing.cluster.kubelet import Kubelet
from mltemporal.testing.cluster.resources import RESOURCES
from mltemporal.testing.cluster.scheduler import Scheduler
from mltemporal.testing.cluster.sessions import Watchdog
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.store import Object, Store

_LOGGER = logging.getLogger(__name__)


class ControlPlane:
    """A cluster without its API; all of it lives on one event loop."""

    def __init__(self, settings: Settings, directory: str, temporary: str) -> None:
        """``directory`` is for volumes; ``temporary`` is what goes when the owning process is killed."""
        self.settings = settings
        self._temporary = temporary
        self.store = Store()
        self.recorder = Recorder(self.store)
        self.faults = Faults()
        self.kubelet = Kubelet(self.store, self.recorder, settings, directory)
        self.crashes: list[BaseException] = []
        """What should never happen: an error in the stand-in itself."""
        self._scheduler = Scheduler(self.store, self.recorder)
        self._jobs = JobController(self.store, self.recorder, settings)
        self._garbage = GarbageCollector(self.store)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the controllers and make the namespaces that every cluster has."""
        if self.settings.run == "process":
            self.kubelet.watchdog = Watchdog(self._temporary)
        self.kubelet.on_crash = self._crashed
        listeners = (self._scheduler, self._jobs, self._garbage, self.kubelet)
        self.store.listeners += [listener.observe for listener in listeners]
        self.store.listeners.append(lambda entry: quotas.keep_status(self.store, entry))
        work = [self._scheduler.queue.run(), self._jobs.queue.run(), self._garbage.queue.run()]
        if self.settings.run == "process":
            work.append(self.kubelet.watch_memory())
        for coroutine in work:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(self._note_crash)
            self._tasks.append(task)
        for name in ("default", "kube-system"):
            self.add_namespace(name)

    def _note_crash(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._crashed(error)

    def _crashed(self, error: BaseException) -> None:
        _LOGGER.error("A controller of the stand-in cluster has failed", exc_info=error)
        self.crashes.append(error)

    async def stop(self) -> None:
        """End all pods and controllers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kubelet.close()
        if self.kubelet.watchdog is not None:
            await asyncio.to_thread(self.kubelet.watchdog.close)

    # What an administrator does

    def add(self, resource: str, body: Object, namespace: str = "") -> Object:
        """Store an object without admission."""
        kind = RESOURCES[resource]
        meta = {**body["metadata"], **({"namespace": namespace} if namespace else {})}
        full = {**body, "metadata": meta, "kind": kind.kind, "apiVersion": kind.api_version}
        return self.store.create(resource, full)

    def add_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace and its default service account."""
        labels = {"kubernetes.io/metadata.name": name, **(labels or {})}
        spec, status = {"finalizers": ["kubernetes"]}, {"phase": "Active"}
        self.add("namespaces", {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})
        self.add("serviceaccounts", {"metadata": {"name": "default"}}, name)

    def add_node(
        self,
        name: str,
        *,
        cpu: object,
        memory: object,
        gpus: int,
        pods: int,
        storage: object,
        labels: dict[str, str],
    ) -> None:
        """Add a node that is ready."""
        self.kubelet.lost.discard(name)
        self.add(
            "nodes",
            nodes.new(name, cpu=cpu, memory=memory, gpus=gpus, pods=pods, storage=storage, labels=labels),
        )

    def evict(self, namespace: str, pod: str, *, by: str) -> None:
        """Evict a pod: by the ``api``, or by the ``kubelet`` of a node that is short of memory."""
        body = self.store.get("pods", namespace, pod)
        if by == "kubelet":
            disruptions.evict_by_kubelet(self.store, self.kubelet, self.recorder, body)
        else:
            disruptions.evict_by_api(self.store, body, {})

    def preempt(self, namespace: str, pod: str) -> None:
        """Make room where the pod is."""
        disruptions.preempt(self.store, self.recorder, self.store.get("pods", namespace, pod))
