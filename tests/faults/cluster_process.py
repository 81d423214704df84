"""The stand-in cluster in a process of its own, which can be stopped as a whole and ends with who started it.

``python -m faults.cluster_process FOLDER``: its first line of input says what its pods find in their
environment; each later one is a call of `Cluster`, and is answered by a line.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .kernels import HERE

_STOP_S = 60


class ClusterProcess:
    """The process, from the outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str]

    def start(self, images: list[str], image_env: Mapping[str, str]) -> int:
        """Start it, wait until it serves, return its process id, which is its session's too."""
        self.folder.mkdir()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "faults.cluster_process", str(self.folder)],
                cwd=HERE.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._tell({"images": images, "image_env": dict(image_env)})
        return self._process.pid

    def call(self, name: str, *arguments: object, **more: object) -> str:
        """Have the cluster do something; returns what it refused that with, empty where it did it."""
        return str(self._tell({"call": name, "arguments": arguments, "more": more}))

    def set(self, name: str, value: object) -> None:
        """Set one of the cluster's properties."""
        self._tell({"set": name, "value": value})

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGSTOP; its pods do not get it."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it with all its pods.

        Raises:
            RuntimeError: the stand-in itself has failed while it ran.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.wait(_STOP_S):
            raise RuntimeError(f"the stand-in cluster has failed: {self.log()}")

    def log(self) -> str:
        """The end of what it printed."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def _tell(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(order)}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the stand-in cluster has ended: {self.log()}")
        return json.loads(answer)


def main(folder: str) -> None:
    """Serve until the input ends."""
    from mltemporal.testing.cluster import Cluster
    from mltemporal.testing.cluster.statuses import ApiError

    lines = iter(sys.stdin.readline, "")
    first = json.loads(next(lines))
    cluster = Cluster(folder, image_env=first["image_env"])
    cluster.images.update(first["images"])
    calls = {"delete": partial(_delete, cluster), "heal": partial(_heal, cluster)}
    with cluster:
        _answer("")
        for line in lines:
            order = json.loads(line)
            said = ""
            try:
                if "set" in order:
                    setattr(cluster, order["set"], order["value"])
                else:
                    call = calls.get(order["call"]) or getattr(cluster, order["call"])
                    call(*order["arguments"], **order["more"])
            except ApiError as error:  # what it was about has just gone
                said = f"{error}"
            _answer(said)


def _delete(cluster: Any, resource: str, namespace: str, name: str, options: dict[str, Any]) -> None:
    """Delete an object as an administrator does, past what goes wrong with the API."""
    from mltemporal.testing.cluster import deletion

    cluster._call(lambda: deletion.delete(cluster._plane.store, resource, (namespace, name), options))


def _heal(cluster: Any) -> None:
    """Forget what was still to go wrong with requests."""
    faults = cluster._plane.faults
    cluster._call(lambda: (faults.failing.clear(), faults.losing.clear()))


def _answer(said: str) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
