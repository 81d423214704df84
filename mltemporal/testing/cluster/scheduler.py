"""The scheduler: which pod goes to which node, and why one cannot go anywhere."""

from __future__ import annotations

from collections import Counter

from mltemporal.testing.cluster import conditions, nodes, quantities
from mltemporal.testing.cluster.events import Recorder
from mltemporal.testing.cluster.store import Entry, Object, Store, key_of
from mltemporal.testing.cluster.workqueue import WorkQueue

_COMPONENT = "default-scheduler"
_NO_HELP = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"


class Scheduler:
    """Binds pods to nodes with room; the emptiest node first."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self.queue = WorkQueue(self._sync)
        self._placed: dict[str, tuple[str, Counter[str]]] = {}
        """By uid: the node of a pod that has not ended, and what it takes there."""
        self._taken: dict[str, Counter[str]] = {}
        self._waiting: set[str] = set()

    def observe(self, entry: Entry) -> None:
        """Keep account of what is taken; note which pods to try (again)."""
        if entry.resource == "pods":
            self._observe_pod(entry)
        elif entry.resource in ("nodes", "persistentvolumeclaims"):
            self._try_again()

    def _observe_pod(self, entry: Entry) -> None:
        pod, uid = entry.object, entry.object["metadata"]["uid"]
        node = pod["spec"].get("nodeName")
        ended = entry.type == "DELETED" or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if ended and uid in self._placed:
            place, amounts = self._placed.pop(uid)
            self._taken[place].subtract(amounts)
            self._try_again()
        elif not ended and node and uid not in self._placed:
            amounts = quantities.asked(pod["spec"])
            amounts["pods"] = 1000
            self._placed[uid] = (node, amounts)
            self._taken.setdefault(node, Counter()).update(amounts)
        if ended or node:
            self._waiting.discard(uid)
        elif entry.type == "ADDED":
            self._waiting.add(uid)
            self.queue.add(uid)

    def _try_again(self) -> None:
        for uid in self._waiting:
            self.queue.add(uid)

    def _sync(self, uid: str) -> None:
        found = self._store.by_uid(uid)
        if found is None or found[1]["spec"].get("nodeName") or found[1]["metadata"].get("deletionTimestamp"):
            return
        pod = found[1]
        candidates: list[Object] = []
        reasons: Counter[str] = Counter()
        hopeless = 0
        every = self._store.all("nodes")
        wanted = quantities.asked(pod["spec"])
        for node in every:
            fixed, short = _obstacle(pod, node), []
            if not fixed:
                short = self._short(wanted, node)
            if not fixed and not short:
                candidates.append(node)
            reasons.update(fixed or short)
            hopeless += bool(fixed)
        claim = self._missing_claim(pod)
        if claim or not candidates:
            self._refuse(pod, claim or _message(len(every), reasons, hopeless))
        else:
            self._bind(pod, min(candidates, key=lambda node: self._load(node["metadata"]["name"])))

    def _load(self, node: str) -> int:
        return self._taken.get(node, Counter())["pods"]

    def _short(self, wanted: Counter[str], node: Object) -> list[str]:
        """Return what the node has too little of, in the scheduler's words."""
        room, taken = node["status"]["allocatable"], self._taken.get(node["metadata"]["name"], Counter())
        lacking = [
            f"Insufficient {name}"
            for name, amount in sorted(wanted.items())
            if amount and taken[name] + amount > quantities.thousandths(room.get(name, 0))
        ]
        if taken["pods"] + 1000 > quantities.thousandths(room.get("pods", 110)):
            lacking.insert(0, "Too many pods")
        return lacking

    def _missing_claim(self, pod: Object) -> str:
        for volume in pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if (
                name
                and self._store.find("persistentvolumeclaims", pod["metadata"]["namespace"], name) is None
            ):
                return f'persistentvolumeclaim "{name}" not found'
        return ""

    def _refuse(self, pod: Object, message: str) -> None:
        def change(body: Object) -> None:
            conditions.put(body, "PodScheduled", "False", "Unschedulable", message)

        self._store.modify("pods", key_of(pod), change)
        self._recorder.record(pod, "Warning", "FailedScheduling", message, _COMPONENT)

    def _bind(self, pod: Object, node: Object) -> None:
        name = node["metadata"]["name"]

        def change(body: Object) -> None:
            body["spec"]["nodeName"] = name
            conditions.put(body, "PodScheduled", "True")

        self._store.modify("pods", key_of(pod), change)
        namespace, pod_name = key_of(pod)
        message = f"Successfully assigned {namespace}/{pod_name} to {name}"
        self._recorder.record(pod, "Normal", "Scheduled", message, _COMPONENT)


def _obstacle(pod: Object, node: Object) -> list[str]:
    """Return why the pod may not go to this node, whatever is free there."""
    if node.get("spec", {}).get("unschedulable"):
        return ["node(s) were unschedulable"]
    if nodes.untolerated(pod, node):
        return ["node(s) had untolerated taint(s)"]
    if not nodes.selected(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    return []


def _message(count: int, reasons: Counter[str], hopeless: int) -> str:
    if not count:
        return "no nodes available to schedule pods"
    why = ", ".join(sorted(f"{number} {reason}" for reason, number in reasons.items()))
    preemption = {_NO_VICTIMS: count - hopeless, _NO_HELP: hopeless}
    helped = ", ".join(sorted(f"{number} {reason}" for reason, number in preemption.items() if number))
    head = f"0/{count} nodes are available: "
    return f"{head}{why}. no new claims to deallocate, preemption: {head}{helped}."
