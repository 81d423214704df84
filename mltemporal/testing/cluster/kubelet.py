"""The kubelets of all nodes: start the pods bound to them, report on them, end them, keep their logs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from mltemporal.testing.cluster import deletion, quantities, sessions
from mltemporal.testing.cluster.container_start import Starter
from mltemporal.testing.cluster.events import Recorder
from mltemporal.testing.cluster.pod_runner import PodRunner
from mltemporal.testing.cluster.pod_status import Containers
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.store import Entry, Object, Store, key_of


class Kubelet:
    """One for all nodes; a node in ``lost`` has none."""

    def __init__(self, store: Store, recorder: Recorder, settings: Settings, directory: str) -> None:
        self.store = store
        self.settings = settings
        self.directory = directory
        self.images: set[str] = set()
        self.image_errors: dict[str, str] = {}
        self.watchdog: sessions.Watchdog | None = None
        self.lost: set[str] = set()
        self.runners: dict[str, PodRunner] = {}
        self.on_crash: Callable[[BaseException], None] = lambda _: None
        self._recorder = recorder
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def observe(self, entry: Entry) -> None:
        """Start or end what a change asks for."""
        if entry.resource != "pods":
            return
        pod = entry.object
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        runner = self.runners.get(uid)
        if entry.type == "DELETED":
            if runner is not None:
                runner.kill()
                self._forget_when_done(uid)
        elif runner is None and node and node not in self.lost and self.store.find("nodes", "", node):
            if pod.get("status", {}).get("phase") == "Pending":
                self._start(pod)
        elif runner is not None and "deletionTimestamp" in pod["metadata"] and node not in self.lost:
            if self._tasks[uid].done():
                asyncio.get_running_loop().call_soon(deletion.finish, self.store, pod)
            else:
                runner.stop(pod["metadata"]["deletionGracePeriodSeconds"])

    def _start(self, pod: Object) -> None:
        runner = PodRunner(self, pod)
        self.runners[runner.uid] = runner
        task = asyncio.create_task(runner.run(), name=f"pod {pod['metadata']['name']}")
        self._tasks[runner.uid] = task
        task.add_done_callback(lambda done: self._ended(runner, done))

    def _ended(self, runner: PodRunner, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.on_crash(error)
        found = self.store.by_uid(runner.uid)
        if found is None:
            self._forget(runner.uid)
        elif "deletionTimestamp" in found[1]["metadata"] and not self._is_lost(runner):
            deletion.finish(self.store, found[1])

    def _forget_when_done(self, uid: str) -> None:
        if self._tasks[uid].done():
            self._forget(uid)

    def _forget(self, uid: str) -> None:
        self.runners.pop(uid, None)
        self._tasks.pop(uid, None)

    def _is_lost(self, runner: PodRunner) -> bool:
        return runner.pod["spec"]["nodeName"] in self.lost

    @property
    def starter(self) -> Starter:
        """What starts containers."""
        return Starter(self.store, self.settings, self.watchdog)

    def publish(self, uid: str, containers: Containers, *, ending: bool) -> None:
        """Write a pod's status, unless its node is lost or the pod is gone."""
        found = self.store.by_uid(uid)
        if found is None or found[1]["spec"]["nodeName"] in self.lost:
            return

        def change(pod: Object) -> None:
            if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                containers.write(pod, ending=ending, address="127.0.0.1")

        self.store.modify("pods", key_of(found[1]), change)

    def tell(self, pod: Object, type_: str, reason: str, message: str) -> None:
        """Record an event about the pod."""
        node = pod["spec"]["nodeName"]
        if node not in self.lost:
            self._recorder.record(pod, type_, reason, message, "kubelet", host=node)

    def lose(self, node: str) -> None:
        """The node is gone from one moment to the next: its processes end, nobody reports."""
        self.lost.add(node)
        for runner in list(self.runners.values()):
            if runner.pod["spec"]["nodeName"] == node:
                runner.kill()

    async def watch_memory(self) -> None:
        """Kill containers that exceed their memory limit, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.memory_poll_s)
            limits = {
                process.session: (process, limit)
                for runner in self.runners.values()
                for name, process in runner.running.items()
                if process.session is not None and (limit := _memory_limit(runner.pod, name)) is not None
            }
            if not limits:
                continue
            for session, pids in sessions.members({one for one in limits if one is not None}).items():
                process, limit = limits[session]
                if sum(map(sessions.resident_bytes, pids)) > limit:
                    process.out_of_memory = True
                    process.send(signal.SIGKILL)

    async def close(self) -> None:
        """End all pods without a word about it."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _memory_limit(pod: Object, name: str) -> int | None:
    for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]:
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        if container["name"] == name and limit is not None:
            return int(quantities.parse(limit))
    return None
