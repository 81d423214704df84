"""The stand-in cluster, to be used from any thread."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from mltemporal.testing.cluster import disruptions
from mltemporal.testing.cluster.control_plane import ControlPlane
from mltemporal.testing.cluster.server import Server
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.store import Object

T = TypeVar("T")


class Cluster:
    """A Kubernetes API server with its controllers and one node or more, on 127.0.0.1.

    Runs in a thread of its own between `start` and `stop`, or as a context manager. A pod's containers are
    processes of this machine (see `Settings.run`); all of them are gone after `stop`, and also when the
    owning process is killed. Everything may be called from any thread while the cluster runs.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, **settings: Any) -> None:
        """Prepare a cluster; ``settings`` are the fields of `Settings`.

        Args:
            directory: for the kubeconfig and the pods' volumes; a temporary one by default.
            settings: see `Settings`.
        """
        self.settings = Settings(**settings)
        self._own_directory = directory is None
        self.directory = os.fspath(directory or tempfile.mkdtemp(prefix="mltemporal-cluster-"))
        self.kubeconfig = os.path.join(self.directory, "kubeconfig")
        self.images: set[str] = {"python:3.11"}
        """The images that nodes can have; anything else ends in ErrImagePull."""
        self.image_errors: dict[str, str] = {}
        """What the registry answers for an image instead; remove it and the image is there again."""
        self._state = os.path.join(self.directory, "state")
        self._ready: Future[None] = Future()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="stand-in-cluster", daemon=True)
        self._plane: ControlPlane
        self._server: Server

    # Life

    def start(self) -> Cluster:
        """Start serving, with one node of 64 CPUs, 256 GiB and no GPU; returns itself."""
        os.makedirs(self._state, exist_ok=True)
        self._thread.start()
        self._ready.result()
        unlimited = self.settings.run == "simulated"
        self.add_node("node-1", cpu=100_000 if unlimited else 64, memory="256Ti" if unlimited else "256Gi",
                      pods=100_000 if unlimited else 110)  # fmt: skip
        return self

    def stop(self) -> None:
        """End everything this cluster has started and remove its files. Idempotent.

        Raises:
            RuntimeError: the stand-in itself has failed while it ran.
        """
        if self._thread.is_alive():
            assert self._loop is not None
            assert self._stopping is not None
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        shutil.rmtree(self._state, ignore_errors=True)
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
        elif os.path.exists(self.kubeconfig):
            os.remove(self.kubeconfig)
        crashes, self._plane.crashes = self._plane.crashes, []
        if crashes:
            raise RuntimeError(f"The stand-in cluster itself has failed: {crashes[0]!r}") from crashes[0]

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        temporary = self.directory if self._own_directory else self._state
        self._plane = plane = ControlPlane(self.settings, self._state, temporary)
        plane.kubelet.images, plane.kubelet.image_errors = self.images, self.image_errors
        self._server = Server(plane, secrets.token_urlsafe(16))
        plane.start()
        try:
            await self._server.start()
            self._server.write_kubeconfig(self.kubeconfig)
            self._ready.set_result(None)
            await self._stopping.wait()
        finally:
            await self._server.stop()
            await plane.stop()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None, "the cluster was not started"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _call(self, work: Callable[[], T]) -> T:
        async def wrapped() -> T:
            return work()

        return self._await(wrapped())

    # What is seen from outside

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return self._server.url

    @property
    def request_counts(self) -> Counter[tuple[str, str]]:
        """Requests so far, by verb and resource: ``("watch", "pods")``, ``("get", "pods/log")``."""
        return self._call(lambda: Counter(self._plane.faults.counts))

    @property
    def connections(self) -> int:
        """Number of connections now open."""
        return self._call(lambda: self._server.connections)

    # What an administrator does

    def add_node(
        self, name: str, *, cpu: object = 4, memory: object = "16Gi", gpus: int = 0, pods: int = 110,
        storage: object = "100Gi", labels: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Add a node; amounts are quantities. Taints and the like can be set through the API."""
        more = dict(labels or {})
        self._call(
            lambda: self._plane.add_node(
                name, cpu=cpu, memory=memory, gpus=gpus, pods=pods, storage=storage, labels=more
            )
        )

    def remove_node(self, name: str) -> None:
        """Delete a node that was switched off: its pods end, fail (DeletionByPodGC) and are taken away."""
        self._call(lambda: disruptions.remove_node(self._plane.store, self._plane.kubelet, name))

    def lose_node(self, name: str) -> None:
        """Let a node fall silent: its pods are deleted (DeletionByTaintManager) and stay, terminating."""
        self._call(lambda: disruptions.lose_node(self._plane.store, self._plane.kubelet, name))

    def recover_node(self, name: str) -> None:
        """Let a lost node come back, as after a reboot."""
        self._call(lambda: disruptions.recover_node(self._plane.store, self._plane.kubelet, name))

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace, for example with ``pod-security.kubernetes.io/enforce: restricted``."""
        self._call(lambda: self._plane.add_namespace(name, labels))

    def create_secret(self, name: str, values: Mapping[str, str], namespace: str = "default") -> None:
        """Make a Secret."""
        from mltemporal.testing.cluster import admission

        body: Object = {"metadata": {"name": name}, "stringData": dict(values)}
        self._call(lambda: admission.create(self._plane.store, "secrets", namespace, body))

    def quota(
        self, namespace: str = "default", *, name: str = "quota", pods: int | None = None, **hard: str
    ) -> None:
        """Limit a namespace; ``hard`` takes other keys (``**{"requests.cpu": "2"}``)."""
        limits = {**({"pods": str(pods)} if pods is not None else {}), **hard}
        body = {"metadata": {"name": name}, "spec": {"hard": limits}}
        self._call(lambda: self._plane.add("resourcequotas", body, namespace))

    def evict(self, pod: str, namespace: str = "default", *, by: str = "api") -> None:
        """Evict a pod: by the ``api`` (as ``kubectl drain``) or by a ``kubelet`` short of memory."""
        self._call(lambda: self._plane.evict(namespace, pod, by=by))

    def preempt(self, pod: str, namespace: str = "default") -> None:
        """Let the scheduler take a pod's place for another one of higher priority."""
        self._call(lambda: self._plane.preempt(namespace, pod))

    # What goes wrong

    def forbid(self, verb: str, resource: str, namespace: str = "") -> None:
        """Answer 403 from now on; ``*`` stands for all verbs or resources, "" for all namespaces."""
        self._call(lambda: self._plane.faults.denied.add((verb, resource, namespace)))

    def allow(self, verb: str, resource: str, namespace: str = "") -> None:
        """Take a `forbid` back."""
        self._call(lambda: self._plane.faults.denied.discard((verb, resource, namespace)))

    def compact(self) -> None:
        """Forget past revisions: a watch that resumes from one gets 410."""
        self._call(self._server.compact)

    def drop_connections(self) -> None:
        """Cut all open watches and log streams."""
        self._call(self._plane.faults.cut_streams)

    def fail_next(self, count: int, status: int) -> None:
        """Answer the next ``count`` requests with this status (429 and 503 with Retry-After)."""
        self._call(lambda: self._plane.faults.failing.extend([status] * count))

    def lose_next_answer(self, verb: str, resource: str) -> None:
        """Do what the next such request asks, then cut the connection instead of answering."""
        self._call(lambda: self._plane.faults.losing.append((verb, resource)))

    @property
    def latency_s(self) -> float:
        """Seconds by which every answer is late."""
        return self._plane.faults.latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        self._plane.faults.latency_s = seconds

    def restart(self, down_s: float = 0.0) -> None:
        """Restart the API server, away for ``down_s``: objects stay, pods run on, the past is forgotten."""

        async def again() -> None:
            await self._server.stop()
            await asyncio.sleep(down_s)
            self._server.compact()
            await self._server.start()

        self._await(again())
