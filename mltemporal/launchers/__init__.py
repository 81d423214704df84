"""Where a job's process runs: one port, an implementation for each kind of place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltemporal.launchers.base import Launcher
    from mltemporal.settings import Settings


def launcher_of(backend: str, settings: Settings, owner: str) -> Launcher:
    """Return the launcher of a backend, not connected yet; loads its module now, and nothing of the others.

    ``owner`` is the database's id: what its workers start is marked with it.
    """
    if backend == "kubernetes":
        from mltemporal.launchers.kubernetes.launcher import KubernetesLauncher

        return KubernetesLauncher.of(settings, owner)
    from mltemporal.launchers.local import LocalLauncher

    return LocalLauncher.of(settings, owner)
