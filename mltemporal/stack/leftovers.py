"""What a killed supervisor left running, and how it is ended; never a process of somebody else."""

from __future__ import annotations

import os
from pathlib import Path

from mltemporal.stack.home import StackFiles, is_locked
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import StackState


def stop_leftovers(files: StackFiles, recorded: StackState | None) -> list[str]:
    """End the services that no supervisor watches any more; returns their names. Idempotent.

    To be called by the holder of the supervisor's lock, or of the change lock with no supervisor left.
    """
    stopped = []
    services = recorded.services if recorded else {}
    for name in ("worker", "temporal"):
        service = services.get(name)
        if service and service.process and service.process.alive:
            service.process.stop(grace_s=8)
            stopped.append(name)
    # What was started, and its supervisor killed before it wrote that down.
    for name, lock in (("temporal", files.server_lock), ("worker", files.worker_lock)):
        if is_locked(lock):
            for process in _holders(lock):
                process.stop(grace_s=8)
                stopped.append(name)
    return stopped


def _holders(lock: Path) -> list[ProcessId]:
    """Find this user's processes that have the lock file open: nobody opens it but who holds it."""
    import psutil

    found, path = [], os.path.realpath(lock)
    for process in psutil.process_iter():
        try:
            ours = process.uids().real == os.getuid()
            holds = ours and path in {each.path for each in process.open_files()}
        except psutil.Error:  # it has ended, or is none that may be looked at
            continue
        if holds and process.pid != os.getpid():
            found.append(ProcessId.of(process.pid))
    return [process for process in found if process is not None]
