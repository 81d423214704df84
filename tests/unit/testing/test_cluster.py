"""The switches of the stand-in, its life and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psutil
import pytest
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from mltemporal.testing.cluster import Cluster


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_without_its_token_nobody_is_let_in(cluster):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{cluster.url}/api/v1/pods")
    with caught.value as answer:
        assert (401, "Unauthorized") == (answer.status, json.load(answer)["reason"])


def test_discovery_names_versions_and_resources(k8s):
    assert "36" == client.VersionApi(k8s.api).get_code().minor
    assert "jobs" in [one.name for one in k8s.batch.get_api_resources().resources]
    assert "batch" in [one.name for one in client.ApisApi(k8s.api).get_api_versions().groups]


def test_what_is_forbidden_is_refused_and_reviewed(k8s, cluster, refusal):
    def may(verb, resource, subresource=None):
        attributes = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": "default"}
        body = {"spec": {"resourceAttributes": attributes}}
        return client.AuthorizationV1Api(k8s.api).create_self_subject_access_review(body).status.allowed

    cluster.forbid("list", "pods")
    status = refusal(lambda: k8s.core.list_namespaced_pod("default"))
    assert 403 == status["code"]
    assert (
        'pods is forbidden: User "stand-in" cannot list resource "pods" in API group "" '
        'in the namespace "default"'
    ) == status["message"]
    assert (False, True) == (may("list", "pods"), may("get", "pods", "log"))
    cluster.allow("list", "pods")
    assert may("list", "pods")


def test_the_next_requests_fail_on_demand(k8s, cluster):
    cluster.fail_next(1, 429)
    request = urllib.request.Request(f"{cluster.url}/api/v1/pods")
    request.add_header("Authorization", k8s.api.configuration.get_api_key_with_prefix("BearerToken"))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as answer:
        assert (429, "1") == (answer.status, answer.headers["Retry-After"])
    with urllib.request.urlopen(request) as answer:
        assert 200 == answer.status


def test_a_lost_answer_leaves_the_deed_done(k8s, cluster, new_job):
    cluster.lose_next_answer("create", "jobs")
    with pytest.raises((client.ApiException, HTTPError)) as caught:
        k8s.batch.create_namespaced_job("default", new_job("unheard"))
    assert getattr(caught.value, "status", None) in (None, 409)  # 409: the client itself has asked again
    assert "unheard" == k8s.job("unheard")["metadata"]["name"]


def test_answers_can_be_late(k8s, cluster):
    cluster.latency_s = 0.3
    began = time.monotonic()
    k8s.core.list_namespaced_pod("default")
    cluster.latency_s = 0
    assert time.monotonic() - began >= 0.3


def test_only_the_newest_file_of_a_long_log_can_be_read(until, new_job):
    with Cluster(log_bytes=1000) as small:
        api = config.new_client_from_config(small.kubeconfig)
        script = "for i in range(500): print(f'line {i}')"
        client.BatchV1Api(api).create_namespaced_job("default", new_job("x", "python", "-c", script))
        core = client.CoreV1Api(api)
        pod = until(
            lambda: core.list_namespaced_pod("default", field_selector="status.phase=Succeeded").items
        )[0]
        data = core.read_namespaced_pod_log(pod.metadata.name, "default", _preload_content=False).data
        api.close()
    assert len(data) <= 1000
    assert data.endswith(b"line 499\n")


def test_open_watches_can_be_cut(k8s, cluster):
    version = k8s.core.list_namespaced_pod("default").metadata.resource_version
    answer = k8s.core.list_namespaced_pod(
        "default", watch=True, resource_version=version, timeout_seconds=30, _preload_content=False
    )
    timer = threading.Timer(0.2, cluster.drop_connections)
    timer.start()
    began = time.monotonic()
    with pytest.raises(HTTPError):
        list(answer.stream())
    assert time.monotonic() - began < 10
    timer.join()


def test_requests_are_counted_by_verb_and_resource(k8s, cluster):
    before = cluster.request_counts
    k8s.core.list_namespaced_pod("default")
    assert {("list", "pods"): 1} == cluster.request_counts - before
    assert cluster.connections >= 1


def test_a_restart_keeps_objects_and_running_pods(k8s, cluster, refusal):
    name = k8s.run("sleep", "60")
    uid = k8s.running(name)["metadata"]["uid"]
    version = k8s.core.list_namespaced_pod("default").metadata.resource_version
    url = cluster.url
    cluster.restart()
    assert (url, uid) == (cluster.url, k8s.running(name)["metadata"]["uid"])
    with pytest.raises(client.ApiException) as caught:
        list(k8s.watch(k8s.core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=1))
    assert 410 == caught.value.status
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_simulated_pods_print_progress_and_use_no_process(until, new_job):
    with Cluster(run="simulated", simulated_steps=3, simulated_interval_s=0.05) as many:
        api = config.new_client_from_config(many.kubeconfig)
        batch, core = client.BatchV1Api(api), client.CoreV1Api(api)
        for number in range(50):
            batch.create_namespaced_job("default", new_job(f"many-{number}"))
        until(lambda: all(job.status.completion_time for job in batch.list_namespaced_job("default").items))
        pod = core.list_namespaced_pod("default").items[0].metadata.name
        lines = (
            core.read_namespaced_pod_log(pod, "default", _preload_content=False).data.decode().splitlines()
        )
        api.close()
    assert '::mltemporal::{"step":3,"total":3}' == lines[-1]


def test_nothing_is_left_after_the_end(until, new_job):
    with Cluster() as brief:
        api = config.new_client_from_config(brief.kubeconfig)
        client.BatchV1Api(api).create_namespaced_job(
            "default", new_job("x", "sh", "-c", "sleep 99 & echo $!; wait")
        )
        core = client.CoreV1Api(api)
        pod = until(lambda: core.list_namespaced_pod("default", field_selector="status.phase=Running").items)[
            0
        ]
        pid = int(
            until(
                lambda: (
                    core.read_namespaced_pod_log(pod.metadata.name, "default", _preload_content=False).data
                )
            )
        )
        api.close()
    until(lambda: gone(pid))
    assert not os.path.exists(brief.directory)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_its_process_ends(tmp_path, until, new_job, ending):
    command = [sys.executable, "-m", "mltemporal.testing.cluster", "--directory", str(tmp_path / "c")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        kubeconfig = server.stdout.readline().strip()
        api = config.new_client_from_config(kubeconfig)
        assert url == api.configuration.host
        client.BatchV1Api(api).create_namespaced_job(
            "default", new_job("x", "sh", "-c", "sleep 99 & echo $!; wait")
        )
        core = client.CoreV1Api(api)
        pod = until(lambda: core.list_namespaced_pod("default", field_selector="status.phase=Running").items)[
            0
        ]
        pid = int(
            until(
                lambda: (
                    core.read_namespaced_pod_log(pod.metadata.name, "default", _preload_content=False).data
                )
            )
        )
        api.close()
        server.send_signal(ending)
    until(lambda: gone(pid))
