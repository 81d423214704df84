"""A pod's status, as its kubelet reports it: phase, conditions and container states."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster import conditions, times
from mltemporal.testing.cluster.store import Object

State = dict[str, Any]


def waiting(reason: str, message: str = "") -> State:
    """A container that has not started (again)."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running() -> State:
    """A container that runs since now."""
    return {"running": {"startedAt": times.now()}}


def terminated(
    code: int, started: str | None, reason: str = "", message: str = "", container_id: str = ""
) -> State:
    """A container that has ended now."""
    body: State = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
    if message:
        body["message"] = message
    body.update(startedAt=started, finishedAt=times.now(), containerID=container_id)
    return {"terminated": body}


class Containers:
    """The states of a pod's containers."""

    def __init__(self, pod: Object) -> None:
        spec = pod["spec"]
        self.init = [container["name"] for container in spec.get("initContainers") or ()]
        self.main = [container["name"] for container in spec["containers"]]
        first = "PodInitializing" if self.init else "ContainerCreating"
        self.by_name: dict[str, dict[str, Any]] = {}
        for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
            self.by_name[container["name"]] = {
                "name": container["name"],
                "state": waiting(first),
                "lastState": {},
                "ready": False,
                "started": False,
                "restartCount": 0,
                "image": container["image"],
                "imageID": "",
            }

    def put(self, name: str, state: State) -> None:
        """Change a container's state."""
        status = self.by_name[name]
        status["state"] = state
        alive = "running" in state
        status["started"] = alive
        done = name in self.init and state.get("terminated", {}).get("exitCode") == 0
        status["ready"] = (alive and name in self.main) or done

    def restart(self, name: str) -> None:
        """Note that a container will run again: its present state is now the last one."""
        status = self.by_name[name]
        status["lastState"] = status["state"]
        status["restartCount"] += 1

    def state(self, name: str) -> State:
        """Return a container's state."""
        return dict(self.by_name[name]["state"])

    def lose_unstarted(self) -> None:
        """The pod ends: what never started is reported as the kubelet does."""
        for name in [*self.init, *self.main]:
            if "waiting" in self.state(name):
                text = "The container could not be located when the pod was terminated"
                self.put(name, terminated(137, None, "ContainerStatusUnknown", text))

    def exit_codes(self, names: list[str]) -> list[int | None]:
        """Return the containers' exit codes, None for those that have not ended."""
        return [self.state(name).get("terminated", {}).get("exitCode") for name in names]

    def phase(self, *, ending: bool) -> str:
        """Return the pod's phase; ``ending``: no container will start any more."""
        codes = self.exit_codes(self.main)
        if ending:
            everything = [*codes, *self.exit_codes(self.init)]
            return "Failed" if any(code != 0 for code in everything) else "Succeeded"
        begun = any(
            "waiting" not in self.state(name) or self.by_name[name]["restartCount"] for name in self.main
        )
        return "Running" if begun else "Pending"

    def write(self, pod: Object, *, ending: bool, address: str) -> None:
        """Write everything into the pod's status, in place."""
        status = pod["status"]
        status["phase"] = self.phase(ending=ending)
        status.setdefault("startTime", times.now())
        status.update(hostIP=address, hostIPs=[{"ip": address}], podIP=address, podIPs=[{"ip": address}])
        status["containerStatuses"] = [_copied(self.by_name[name]) for name in self.main]
        if self.init:
            status["initContainerStatuses"] = [_copied(self.by_name[name]) for name in self.init]
        initialized = all(code == 0 for code in self.exit_codes(self.init))
        ready = all(self.by_name[name]["ready"] for name in self.main)
        why = "" if ready else "PodFailed" if status["phase"] == "Failed" else "ContainersNotReady"
        if status["phase"] == "Succeeded":
            why = "PodCompleted"
        started = "waiting" not in self.state((self.init or self.main)[0])
        conditions.put(pod, "PodReadyToStartContainers", "True" if started and not ending else "False")
        conditions.put(
            pod,
            "Initialized",
            "True" if initialized else "False",
            "" if initialized else "ContainersNotInitialized",
        )
        conditions.put(pod, "Ready", "True" if ready else "False", why)
        conditions.put(pod, "ContainersReady", "True" if ready else "False", why)


def _copied(status: dict[str, Any]) -> dict[str, Any]:
    return {**status, "state": dict(status["state"]), "lastState": dict(status["lastState"])}
