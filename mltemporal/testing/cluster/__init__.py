"""A stand-in Kubernetes cluster for tests: the API server's rules over real HTTP, pods as real processes.

``with Cluster() as cluster:`` serves at ``cluster.url`` and writes ``cluster.kubeconfig``, which the official
client, kubectl and whatever else speaks to Kubernetes can use; ``python -m mltemporal.testing.cluster
--directory D`` does the same in a process of its own. No stand-in for a real cluster before a release: no
networks, users, images or kernels are isolated here, and what is not in `resources` does not exist.
"""

from mltemporal.testing.cluster.cluster import Cluster
from mltemporal.testing.cluster.settings import Settings

__all__ = ["Cluster", "Settings"]
