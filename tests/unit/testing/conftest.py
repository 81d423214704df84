"""A stand-in cluster and the official client to it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch

from mltemporal.testing.cluster import Cluster

_numbers = itertools.count(1)


class Kubernetes:
    """The official client, and what these tests do with it again and again."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.api = config.new_client_from_config(cluster.kubeconfig)
        self.core = client.CoreV1Api(self.api)
        self.batch = client.BatchV1Api(self.api)

    def raw(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Send a request and return the answer as it is; raises `client.ApiException`."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        answer = self.api.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params={"Content-Type": f"application/{kind}"},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
        )
        return json.loads(answer.data)

    def run(self, *command: str, name: str = "", namespace: str = "default", **changes: Any) -> str:
        """Create a Job with one container; ``changes`` go into its spec, ``pod`` and ``container`` deeper."""
        name = name or f"job-{next(_numbers)}"
        body = job(name, *command, **changes)
        self.batch.create_namespaced_job(namespace, body)
        return name

    def job(self, name: str, namespace: str = "default") -> dict[str, Any]:
        return self.raw("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")

    def pods(self, name: str, namespace: str = "default") -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        return self.raw("GET", path, labelSelector=f"batch.kubernetes.io/job-name={name}")["items"]

    def pod(self, name: str) -> dict[str, Any]:
        """Wait for the first pod of a Job."""
        return until(lambda: self.pods(name))[0]

    def conditions(self, name: str) -> dict[str, str]:
        """Return the reasons of a Job's true conditions."""
        found = self.job(name)["status"].get("conditions", [])
        return {one["type"]: one["reason"] for one in found if one["status"] == "True"}

    def finished(self, name: str) -> dict[str, str]:
        """Wait until a Job is Complete or Failed; returns its conditions."""
        until(lambda: {"Complete", "Failed"} & set(self.conditions(name)))
        return self.conditions(name)

    def running(self, name: str) -> dict[str, Any]:
        """Wait until a pod of the Job runs; returns it."""
        return until(lambda: [pod for pod in self.pods(name) if pod["status"]["phase"] == "Running"])[0]

    def waiting(self, name: str) -> dict[str, str]:
        """Return why the container of a Job's pod waits."""
        status = self.pod(name)["status"]
        return status.get("containerStatuses", [{"state": {}}])[0]["state"].get("waiting", {})

    def log(self, name: str, **query: Any) -> str:
        return self.pod_log(self.pods(name)[0]["metadata"]["name"], **query)

    def pod_log(self, pod: str, **query: Any) -> str:
        """Return a log as it is: the client's own answer to a plain call is the ``repr`` of bytes."""
        answer = self.core.read_namespaced_pod_log(pod, "default", _preload_content=False, **query)
        return answer.data.decode()

    def events(self, about: str) -> dict[str, str]:
        """Return the events about an object: message by reason."""
        items = self.raw("GET", "/api/v1/namespaces/default/events")["items"]
        return {one["reason"]: one["message"] for one in items if one["involvedObject"]["name"] == about}

    def watch(self, *arguments: Any, **keywords: Any) -> Iterator[dict[str, Any]]:
        return watch.Watch().stream(*arguments, **keywords)


def job(name: str, *command: str, pod: Any = None, container: Any = None, **changes: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "python:3.11", "command": list(command) or ["true"], **(container or {})}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}, **changes},
    }


def until(look: Callable[[], Any], seconds: float = 10) -> Any:
    """Return the first true answer of ``look``."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def refusal(call: Callable[[], Any]) -> dict[str, Any]:
    """Return the Status of a request that is refused."""
    with pytest.raises(client.ApiException) as caught:
        call()
    status = json.loads(caught.value.body)
    assert "Status" == status["kind"]
    assert caught.value.status == status["code"]
    return status


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(
        pull_backoff_s=0.2, config_retry_s=0.1, pod_failure_backoff_s=0.1, create_retry_s=0.1
    ) as one:
        yield one


@pytest.fixture(scope="module")
def k8s(cluster: Cluster) -> Iterator[Kubernetes]:
    found = Kubernetes(cluster)
    yield found
    found.api.close()


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture(name="refusal")
def _refusal() -> Callable[..., Any]:
    return refusal


@pytest.fixture(name="new_job")
def _new_job() -> Callable[..., Any]:
    return job
