"""What the supervisor writes down about the running stack, for everyone who wants to use it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mltemporal.errors import StackError
from mltemporal.settings import Settings
from mltemporal.specs.encoding import decode, encode
from mltemporal.stack.process import ProcessId


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """One process that the supervisor keeps running."""

    state: str
    """``starting``, ``running``, ``restarting`` (it died, and will be started again) or ``stopped``."""
    process: ProcessId | None = None
    restarts: int = 0
    """How often it was started again, in all."""
    failures: int = 0
    """How often it died in a row, without a minute of health in between."""
    trouble: str = ""
    """Why it last died or could not start."""


@dataclass(frozen=True, kw_only=True)
class StackState:
    """The running stack of one home; holds no secret."""

    home: str
    supervisor: ProcessId
    version: str
    """Of the mltemporal that started it."""
    build: str = ""
    """Of its workflow code, see `deployments.build`; empty in stacks of before there were builds."""
    code: str = ""
    """The folder of the package that it was started from."""
    python: str
    """The interpreter that runs supervisor and worker."""
    host: str
    started_at: float
    """Seconds since the epoch."""
    temporal_address: str
    namespace: str = "default"
    web_ui: str = ""
    """Temporal's Web UI; empty where unknown."""
    server_version: str = ""
    """Of the embedded Temporal server; empty with a configured Temporal."""
    services: dict[str, ServiceState] = field(default_factory=dict)
    """By name: ``temporal`` (unless configured) and ``worker``."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Hashes of the settings that every user of one stack must share."""

    @property
    def alive(self) -> bool:
        """Whether its supervisor still runs."""
        return self.supervisor.alive

    @property
    def ready(self) -> bool:
        """Whether Temporal can be used: the embedded server answered, or none is needed."""
        server = self.services.get("temporal")
        return bool(self.services) and (server is None or server.state == "running")

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, None between two of its lives."""
        worker = self.services.get("worker")
        return worker.process.pid if worker and worker.process else None


def read_state(path: Path) -> StackState | None:
    """Return what was written last, None where there is nothing (readable)."""
    try:
        return decode(path.read_bytes(), StackState)
    except (OSError, msgspec.DecodeError):
        return None  # no stack, a home that is no folder, or a record of a very different version


def write_state(path: Path, state: StackState) -> None:
    """Replace the record, atomically; only the user can read it."""
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(encode(state))
    new.replace(path)


def fingerprints(settings: Settings, temporal: str) -> dict[str, str]:
    """Hash the settings that the worker and everyone who starts jobs must share.

    ``temporal`` names the Temporal in use: ``embedded``, or address and namespace.
    """
    shared = {
        "database": settings.database_url,
        "storage": settings.storage_url,
        "task queue": settings.task_queue or "",
        "Temporal": temporal,
        "Kubernetes": repr(settings.cluster),
    }
    return {name: hashlib.sha256(value.encode()).hexdigest()[:16] for name, value in shared.items()}


def check_settings(state: StackState, wanted: dict[str, str]) -> None:
    """Raise unless the running stack uses the same places, which its worker would otherwise never look at.

    Raises:
        StackError: it does not; names which.
    """
    different = [name for name, value in state.fingerprints.items() if wanted.get(name, value) != value]
    if different:
        raise StackError(
            f"the stack of {state.home!r} was started with another {' and another '.join(different)} "
            "than this process is set to use",
            "run `mltemporal down && mltemporal up`, or give this process a MLTEMPORAL_HOME of its own",
        )
