"""A Kubernetes cluster for the tests: the stand-in, or the real one that ``KUBECONFIG`` names.

A real cluster needs ``KUBECONFIG``, ``MLTEMPORAL_TEST_IMAGE`` (the image of deploy/Dockerfile, built from
this tree), and an S3 storage that kernel and pods reach under one endpoint: ``MLTEMPORAL_TEST_STORAGE_URL``
with the usual ``AWS_…`` variables. Each test session makes a namespace of its own, under the
*restricted* Pod Security Standard, and removes it.
"""

from __future__ import annotations

import base64
import os
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

REAL = ("KUBECONFIG", "MLTEMPORAL_TEST_IMAGE", "MLTEMPORAL_TEST_STORAGE_URL")
IMAGE = "mltemporal/job:test"
STORAGE_SECRET = "storage"
STORAGE_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")


@dataclass(frozen=True)
class Place:
    """Where a test may run Jobs, and with what."""

    kubeconfig: str
    namespace: str
    image: str
    storage_url: str
    real: bool
    client: Any
    """An `ApiClient` of the official synchronous client."""

    @property
    def core(self) -> Any:
        """The core API."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.client)

    @property
    def batch(self) -> Any:
        """The batch API."""
        from kubernetes.client import BatchV1Api

        return BatchV1Api(self.client)

    def pods(self, job: str) -> list[Any]:
        """The pods of a Job, oldest first."""
        found = self.core.list_namespaced_pod(
            self.namespace, label_selector=f"batch.kubernetes.io/job-name={job}"
        )
        return sorted(found.items, key=lambda pod: pod.metadata.creation_timestamp)

    def left(self) -> dict[str, list[str]]:
        """What is there: as ``kubectl get all`` would show."""
        listed = {
            "jobs": self.batch.list_namespaced_job(self.namespace),
            "pods": self.core.list_namespaced_pod(self.namespace),
            "services": self.core.list_namespaced_service(self.namespace),
        }
        return {
            kind: names for kind, found in listed.items() if (names := [i.metadata.name for i in found.items])
        }

    def until_clean(self, within_s: float = 15) -> None:
        """Wait until nothing is left: the cluster's garbage collector takes a moment."""
        deadline = time.monotonic() + within_s
        while left := self.left():
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.2)

    def create_secret(self, name: str, values: dict[str, str]) -> None:
        """Make a Secret in the namespace."""
        from kubernetes.client import V1ObjectMeta, V1Secret

        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.core.create_namespaced_secret(
            self.namespace, V1Secret(metadata=V1ObjectMeta(name=name), data=data)
        )


def why_no_cluster() -> str:
    """Why no real cluster can be used; empty where one can."""
    missing = [name for name in REAL if not os.environ.get(name)]
    return f"set {', '.join(missing)}" if missing else ""


def open_place(
    kubeconfig: str, image: str, storage_url: str, environ: dict[str, str], *, real: bool
) -> Place:
    """Make a namespace that is restricted, with the storage's Secret in it."""
    from kubernetes.client import V1Namespace, V1ObjectMeta
    from kubernetes.config import new_client_from_config

    client = new_client_from_config(config_file=kubeconfig)
    namespace = f"mltemporal-test-{uuid.uuid4().hex[:8]}"
    place = Place(kubeconfig, namespace, image, storage_url, real, client)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    place.core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=place.namespace, labels=labels)))
    place.create_secret(STORAGE_SECRET, {name: environ[name] for name in STORAGE_VARIABLES})
    return place


def close_place(place: Place) -> None:
    """Remove the namespace and all in it."""
    place.core.delete_namespace(place.namespace)
    place.client.close()


@pytest.fixture(scope="session")
def standin():
    """The stand-in cluster; the image of the tests is known to it."""
    from mltemporal.testing.cluster import Cluster

    with Cluster() as cluster:
        cluster.images.add(IMAGE)
        yield cluster


@pytest.fixture(scope="session")
def standin_place(standin, s3):
    """A namespace in the stand-in, whose pods find the tests' S3 server."""
    place = open_place(standin.kubeconfig, IMAGE, f"s3://{s3.bucket}/cluster", s3.environ(), real=False)
    yield place
    close_place(place)


@pytest.fixture(scope="session")
def real_cluster():
    """A namespace in the real cluster."""
    if why := why_no_cluster():
        pytest.skip(f"no cluster: {why}")
    place = open_place(*(os.environ[name] for name in REAL), dict(os.environ), real=True)
    yield place
    close_place(place)
