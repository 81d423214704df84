"""Starting a container: its environment, its command line, its process."""

from __future__ import annotations

import os
import sys

from mltemporal.testing.cluster import environment, volumes
from mltemporal.testing.cluster.logs import Log
from mltemporal.testing.cluster.processes import Process, Running, Simulated
from mltemporal.testing.cluster.sessions import Watchdog
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.store import Object, Store


class Starter:
    """Starts containers as the settings say."""

    def __init__(self, store: Store, settings: Settings, watchdog: Watchdog | None) -> None:
        self._store = store
        self._settings = settings
        self._watchdog = watchdog

    def start(  # noqa: PLR0917 all of it together makes one process
        self,
        pod: Object,
        container: Object,
        variables: dict[str, str],
        directory: str,
        places: dict[str, str],
        log: Log,
    ) -> Running:
        """Start a container; ``directory`` is the pod's own, ``places`` are those of its volumes.

        Raises:
            OSError: there is no such command.
        """
        if self._watchdog is None:
            return Simulated(self._settings, log)
        entrypoint = self._settings.entrypoints.get(container["image"], ())
        words = environment.command_line(container, variables, entrypoint)
        if not words:
            raise FileNotFoundError(2, "no command specified", "")
        paths = volumes.rewriter(container, places)
        hosts = environment.host_names(self._store, pod["metadata"]["namespace"])
        base = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": directory,
            "LANG": "C.UTF-8",
            "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
            **self._settings.image_env,
        }
        env = base | {key: hosts(paths(value)) for key, value in variables.items()}
        cwd = paths(container.get("workingDir") or "")
        if not os.path.isdir(cwd):
            cwd = directory
        words = [hosts(paths(word)) for word in words]
        if words[0] in ("python", "python3"):
            words[0] = sys.executable  # last: where it lies may look like a path of a volume
        return Process(words, env, cwd, log, self._watchdog)


def not_started(error: OSError) -> str:
    """Return the container runtime's message."""
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: "
        f'exec: "{error.filename}": executable file not found in $PATH'
    )
