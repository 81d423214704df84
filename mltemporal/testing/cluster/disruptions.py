"""What happens to pods from outside: eviction, preemption, the loss of their node."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster import conditions, deletion, nodes
from mltemporal.testing.cluster.events import Recorder
from mltemporal.testing.cluster.kubelet import Kubelet
from mltemporal.testing.cluster.store import Object, Store, copied, key_of


def _disrupt(store: Store, pod: Object, reason: str, message: str) -> None:
    def change(body: Object) -> None:
        conditions.put(body, "DisruptionTarget", "True", reason, message)

    store.modify("pods", key_of(pod), change)


def evict_by_api(store: Store, pod: Object, options: dict[str, Any]) -> None:
    """The eviction subresource (``kubectl drain``): the pod is deleted with its grace period."""
    if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
        _disrupt(store, pod, "EvictionByEvictionAPI", "Eviction API: evicting")
    deletion.delete(store, "pods", key_of(pod), options)


def preempt(store: Store, recorder: Recorder, pod: Object) -> None:
    """The scheduler makes room for a pod of higher priority."""
    message = "default-scheduler: preempting to accommodate a higher priority pod"
    _disrupt(store, pod, "PreemptionByScheduler", message)
    text = f"Preempted by pod on node {pod['spec'].get('nodeName', '')}"
    recorder.record(pod, "Normal", "Preempted", text, "default-scheduler")
    deletion.delete(store, "pods", key_of(pod))


def evict_by_kubelet(store: Store, kubelet: Kubelet, recorder: Recorder, pod: Object) -> None:
    """The node is short of memory: the pod fails with reason ``Evicted`` and stays to be looked at."""
    text = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. "
    node = pod["spec"]["nodeName"]
    recorder.record(pod, "Warning", "Evicted", text, "kubelet", host=node)
    runner = kubelet.runners.get(pod["metadata"]["uid"])
    states = [] if runner is None else list(runner.containers.main)

    def change(body: Object) -> None:
        body["status"].update(phase="Failed", reason="Evicted", message=text)
        conditions.put(body, "DisruptionTarget", "True", "TerminationByKubelet", text)
        for status in body["status"].get("containerStatuses", ()):
            started = status["state"].get("running", {}).get("startedAt")
            if status["name"] in states and started:
                ended = {"exitCode": 137, "reason": "Error", "startedAt": started}
                status["state"] = {"terminated": ended}
                status.update(ready=False, started=False)

    store.modify("pods", key_of(pod), change)
    if runner is not None:
        runner.kill()


def remove_node(store: Store, kubelet: Kubelet, name: str) -> None:
    """The node is deleted: the pod garbage collector fails its pods and takes them away."""
    kubelet.lose(name)
    store.remove("nodes", ("", name))
    for pod in [one for one in store.all("pods") if one["spec"].get("nodeName") == name]:
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):

            def change(body: Object) -> None:
                body["status"]["phase"] = "Failed"
                conditions.put(
                    body, "DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists"
                )

            store.modify("pods", key_of(pod), change)
        deletion.finish(store, pod)


def lose_node(store: Store, kubelet: Kubelet, name: str) -> None:
    """The node no longer answers, long enough for the taint manager to delete its pods.

    They stay, terminating, until the node comes back or is removed.
    """
    kubelet.lose(name)

    def unreachable(body: Object) -> None:
        ready = nodes.ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        body["status"]["conditions"] = [ready]
        effects = ("NoSchedule", "NoExecute")
        body["spec"]["taints"] = [{"key": nodes.UNREACHABLE, "effect": effect} for effect in effects]

    store.modify("nodes", ("", name), unreachable)
    for pod in [one for one in store.all("pods") if one["spec"].get("nodeName") == name]:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        message = "Taint manager: deleting due to NoExecute taint"
        _disrupt(store, pod, "DeletionByTaintManager", message)
        deletion.delete(store, "pods", key_of(pod))


def recover_node(store: Store, kubelet: Kubelet, name: str) -> None:
    """The node is back, rebooted: its pods have ended, those being deleted go."""

    def ready(body: Object) -> None:
        body["status"]["conditions"] = [
            nodes.ready("True", "KubeletReady", "kubelet is posting ready status")
        ]
        body["spec"].pop("taints", None)

    kubelet.lost.discard(name)
    store.modify("nodes", ("", name), ready)
    for pod in [one for one in store.all("pods") if one["spec"].get("nodeName") == name]:
        runner = kubelet.runners.get(pod["metadata"]["uid"])
        if runner is not None:
            kubelet.publish(runner.uid, runner.containers, ending=runner.ending)
        if "deletionTimestamp" in pod["metadata"]:
            deletion.finish(store, copied(pod))
