"""The kubelet: images, configuration, volumes, logs, memory, and the end of pods."""

from __future__ import annotations

import re

import psutil
import pytest

TERM = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.05; done"


def test_an_image_that_is_not_there_keeps_the_pod_waiting(k8s, cluster, until):
    name = k8s.run("true", container={"image": "registry.example.com/team/nothing:1"})
    until(lambda: k8s.waiting(name).get("reason") == "ImagePullBackOff")
    message = k8s.waiting(name)["message"]
    assert message.startswith(
        'Back-off pulling image "registry.example.com/team/nothing:1": ErrImagePull: rpc error'
    )
    assert message.endswith("registry.example.com/team/nothing:1: not found")
    assert {} == k8s.conditions(name)
    assert {"Pulling", "Failed", "BackOff"} <= set(k8s.events(k8s.pod(name)["metadata"]["name"]))
    cluster.images.add("registry.example.com/team/nothing:1")
    assert "Complete" in k8s.finished(name)


def test_a_malformed_image_name_is_told_apart(k8s, until):
    name = k8s.run("true", container={"image": "Not An/Image::"})
    until(lambda: k8s.waiting(name).get("reason") == "InvalidImageName")
    assert k8s.waiting(name)["message"].endswith("invalid reference format")
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_a_missing_secret_keeps_the_container_from_being_created(k8s, cluster, until):
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "late", "key": "token"}}}]
    name = k8s.run("sh", "-c", "echo $TOKEN", container={"env": env})
    until(lambda: k8s.waiting(name).get("reason") == "CreateContainerConfigError")
    assert 'secret "late" not found' == k8s.waiting(name)["message"]
    cluster.create_secret("late", {"token": "swordfish"})
    k8s.finished(name)
    assert "swordfish\n" == k8s.log(name)


def test_the_environment_is_what_the_pod_says(k8s, cluster):
    cluster.create_secret("many", {"A": "1", "B": "2"})
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "BOTH", "value": "$(P_A)-$(NAMESPACE)-$(MISSING)-$$(P_A)"},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "no", "optional": True}}},
    ]
    container = {
        "env": env, "envFrom": [{"prefix": "P_", "secretRef": {"name": "many"}}],
        "resources": {"limits": {"cpu": "1500m"}}, "args": ["$(BOTH)"],
    }  # fmt: skip
    script = "echo $NAME $NAMESPACE $ADDRESS $JOB $CPUS $P_B ${NONE-unset} $0"
    name = k8s.run("sh", "-c", script, container=container)
    k8s.finished(name)
    pod = k8s.pods(name)[0]["metadata"]["name"]
    both = "1-default-$(MISSING)-$(P_A)"
    assert f"{pod} default 127.0.0.1 {name} 2 2 unset {both}\n" == k8s.log(name)


def test_volumes_are_directories_of_their_own(k8s, cluster):
    cluster.create_secret("files", {"token": "in a file"})
    volumes = [{"name": "scratch", "emptyDir": {}}, {"name": "secret", "secret": {"secretName": "files"}}]
    mounts = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "secret", "mountPath": "/etc/token"}]
    init = {"name": "init", "image": "python:3.11", "volumeMounts": mounts,
            "command": ["sh", "-c", "echo from the init container > /scratch/note"]}  # fmt: skip
    env = [{"name": "NOTE", "value": "/scratch/note"}]
    name = k8s.run(
        "sh", "-c", "cat $NOTE /etc/token/token", container={"volumeMounts": mounts, "env": env},
        pod={"volumes": volumes, "initContainers": [init]},
    )  # fmt: skip
    k8s.finished(name)
    assert "from the init container\nin a file" == k8s.log(name).rstrip("\n")


def test_an_init_container_that_fails_fails_the_pod(k8s):
    init = {"name": "init", "image": "python:3.11", "command": ["sh", "-c", "exit 9"]}
    name = k8s.run("true", pod={"initContainers": [init]})
    assert "Failed" in k8s.finished(name)
    status = k8s.pods(name)[0]["status"]
    assert ("Failed", 9) == (
        status["phase"],
        status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
    )


def test_a_command_that_does_not_exist_is_a_start_error(k8s):
    name = k8s.run("no-such-command")
    assert "Failed" in k8s.finished(name)
    state = k8s.pods(name)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (128, "StartError") == (state["exitCode"], state["reason"])
    assert 'exec: "no-such-command": executable file not found in $PATH' in state["message"]


def test_too_much_memory_ends_in_oom_killed(k8s):
    grow = "import time; block = bytearray(200 * 2**20); time.sleep(60)"
    name = k8s.run("python", "-c", grow, container={"resources": {"limits": {"memory": "100Mi"}}})
    assert "Failed" in k8s.finished(name)
    state = k8s.pods(name)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (137, "OOMKilled") == (state["exitCode"], state["reason"])


def test_deleting_asks_first_and_kills_after_the_grace_period(k8s, until):
    polite = k8s.run("sh", "-c", TERM, pod={"terminationGracePeriodSeconds": 20})
    stubborn = k8s.run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    for name in (polite, stubborn):
        k8s.running(name)
        until(lambda name=name: "up" in k8s.log(name))
    version = k8s.core.list_namespaced_pod("default").metadata.resource_version
    for name in (polite, stubborn):
        k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")
    until(lambda: not k8s.pods(polite) and not k8s.pods(stubborn), 5)
    codes = {}
    for event in k8s.watch(
        k8s.core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=1
    ):
        pod = event["object"]
        if event["type"] == "DELETED":
            state = pod.status.container_statuses[0].state.terminated
            codes[pod.metadata.labels["job-name"]] = (pod.status.phase, state.exit_code)
    assert {polite: ("Succeeded", 0), stubborn: ("Failed", 137)} == codes


def test_a_container_leaves_no_process_behind(k8s, until):
    name = k8s.run("sh", "-c", "sleep 3456 & echo $!; exit 0")
    k8s.finished(name)
    pid = int(k8s.log(name))
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_an_evicted_pod_says_so(k8s, cluster, until):
    name = k8s.run("sleep", "60")
    pod = k8s.running(name)["metadata"]["name"]
    cluster.evict(pod, by="kubelet")
    assert "Failed" in k8s.finished(name)
    status = k8s.pods(name)[0]["status"]
    assert ("Failed", "Evicted") == (status["phase"], status["reason"])
    assert status["message"].startswith("The node was low on resource: memory.")


@pytest.mark.parametrize(
    ("how", "reason"), [("evict", "EvictionByEvictionAPI"), ("preempt", "PreemptionByScheduler")]
)
def test_a_disrupted_pod_carries_the_reason(k8s, cluster, until, how, reason):
    name = k8s.run("sh", "-c", TERM)
    pod = k8s.running(name)["metadata"]["name"]
    until(lambda: "up" in k8s.log(name))
    version = k8s.core.list_namespaced_pod("default").metadata.resource_version
    if how == "evict":
        body = {"metadata": {"name": pod, "namespace": "default"}}
        k8s.core.create_namespaced_pod_eviction(pod, "default", body)
    else:
        cluster.preempt(pod)
    for event in k8s.watch(
        k8s.core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=5
    ):
        found = {one.type: one.reason for one in event["object"].status.conditions or ()}
        if event["object"].metadata.name == pod and found.get("DisruptionTarget"):
            assert reason == found["DisruptionTarget"]
            break
    assert "Failed" in k8s.finished(name)


def test_a_log_can_be_read_in_parts(k8s):
    name = k8s.run("sh", "-c", "echo one; echo two >&2; echo three")
    k8s.finished(name)
    assert "one\ntwo\nthree\n" == k8s.log(name)
    assert "three\n" == k8s.log(name, tail_lines=1)
    assert "one\ntw" == k8s.log(name, limit_bytes=6)
    stamps = [line.split()[0] for line in k8s.log(name, timestamps=True).splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp) for stamp in stamps)
    assert sorted(stamps) == stamps


def test_since_a_time_counts_in_whole_seconds(k8s):
    name = k8s.run("sh", "-c", "echo one; sleep 1.2; echo two")
    k8s.finished(name)
    pod = k8s.pods(name)[0]["metadata"]["name"]
    first, second = (line.split()[0] for line in k8s.log(name, timestamps=True).splitlines())
    path = f"/api/v1/namespaces/default/pods/{pod}/log"

    def since(stamp):
        answer = k8s.api.call_api(
            path, "GET", query_params=[("sinceTime", stamp)], auth_settings=["BearerToken"],
            _preload_content=False, _return_http_data_only=True,
        )  # fmt: skip
        return answer.data.decode()

    assert "one\ntwo\n" == since(first)
    assert "two\n" == since(second)


def test_a_log_is_followed_to_its_end(k8s):
    name = k8s.run("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    pod = k8s.running(name)["metadata"]["name"]
    assert ["1", "2", "3"] == list(k8s.watch(k8s.core.read_namespaced_pod_log, pod, "default"))


def test_there_is_no_log_before_the_container_has_started(k8s, until, refusal):
    name = k8s.run("true", container={"image": "missing:1"})
    until(lambda: k8s.waiting(name).get("reason") == "ImagePullBackOff")
    pod = k8s.pod(name)["metadata"]["name"]
    status = refusal(lambda: k8s.log(name))
    message = f'container "main" in pod "{pod}" is waiting to start: trying and failing to pull image'
    assert (400, message) == (status["code"], status["message"])
    status = refusal(lambda: k8s.log(name, container="other"))
    assert f"container other is not valid for pod {pod}" == status["message"]
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_a_failing_container_is_restarted_where_the_policy_says_so(k8s, until):
    body = {"metadata": {"name": "loop"}, "spec": {"restartPolicy": "OnFailure", "containers": [
        {"name": "main", "image": "python:3.11", "command": ["sh", "-c", "exit 1"]}]}}  # fmt: skip
    k8s.core.create_namespaced_pod("default", body)

    def status():
        found = k8s.raw("GET", "/api/v1/namespaces/default/pods/loop")["status"]
        return found.get("containerStatuses", [{"state": {}}])[0]

    until(lambda: status()["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert status()["restartCount"] >= 1
    assert 1 == status()["lastState"]["terminated"]["exitCode"]
    k8s.core.delete_namespaced_pod("loop", "default", grace_period_seconds=0)
