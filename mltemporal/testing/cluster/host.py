"""What a pod's runner needs of the kubelet that it belongs to."""

from __future__ import annotations

from typing import Protocol

from mltemporal.testing.cluster.container_start import Starter
from mltemporal.testing.cluster.pod_status import Containers
from mltemporal.testing.cluster.settings import Settings
from mltemporal.testing.cluster.store import Object, Store


class Host(Protocol):
    """A kubelet, seen from a pod."""

    store: Store
    settings: Settings
    images: set[str]
    image_errors: dict[str, str]
    directory: str

    @property
    def starter(self) -> Starter:
        """What starts containers."""

    def publish(self, uid: str, containers: Containers, *, ending: bool) -> None:
        """Write the status of the pod with that uid; ``ending``: no container will start any more."""

    def tell(self, pod: Object, type_: str, reason: str, message: str) -> None:
        """Record an event about the pod."""
