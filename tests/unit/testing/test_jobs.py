"""The Job controller, the scheduler and admission, as a Job's owner sees them."""

from __future__ import annotations

import pytest

TERM = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"


def test_a_job_runs_its_command_and_completes(k8s):
    name = k8s.run("python", "-c", "print('hello')")
    assert {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"} == k8s.finished(
        name
    )
    status = k8s.job(name)["status"]
    assert (1, 0, 0) == (status["succeeded"], status["ready"], status["terminating"])
    assert {"startTime", "completionTime"} <= set(status)
    assert "hello\n" == k8s.log(name)
    assert {"SuccessfulCreate", "Completed"} <= set(k8s.events(name))


def test_a_pod_leads_back_to_its_job(k8s):
    name = k8s.run("true")
    pod, job = k8s.pod(name), k8s.job(name)
    uid = job["metadata"]["uid"]
    labels = pod["metadata"]["labels"]
    assert (name, name) == (labels["job-name"], labels["batch.kubernetes.io/job-name"])
    assert (uid, uid) == (labels["controller-uid"], labels["batch.kubernetes.io/controller-uid"])
    (owner,) = pod["metadata"]["ownerReferences"]
    assert ("Job", name, uid, True) == (owner["kind"], owner["name"], owner["uid"], owner["controller"])
    assert {"batch.kubernetes.io/controller-uid": uid} == job["spec"]["selector"]["matchLabels"]


def test_a_failed_pod_fails_a_job_without_retries(k8s):
    name = k8s.run("sh", "-c", "exit 3")
    assert {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"} == k8s.finished(name)
    state = k8s.pods(name)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (3, "Error") == (state["exitCode"], state["reason"])
    assert 1 == k8s.job(name)["status"]["failed"]


def test_a_job_with_retries_starts_another_pod(k8s, until):
    name = k8s.run("sh", "-c", "exit 1", backoffLimit=1)
    assert "BackoffLimitExceeded" == k8s.finished(name)["Failed"]
    assert (2, 2) == (len(k8s.pods(name)), k8s.job(name)["status"]["failed"])


def test_a_failure_policy_fails_the_job_at_once(k8s):
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    name = k8s.run("sh", "-c", "exit 42", backoffLimit=5, podFailurePolicy={"rules": [rule]})
    assert "PodFailurePolicy" == k8s.finished(name)["Failed"]
    pod = k8s.pods(name)[0]["metadata"]["name"]
    message = (
        f"Container main for pod default/{pod} failed with exit code 42 matching FailJob rule at index 0"
    )
    assert message in [one["message"] for one in k8s.job(name)["status"]["conditions"]]


def test_a_failure_policy_replaces_a_disrupted_pod_without_counting_it(k8s, cluster, until):
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    name = k8s.run("sleep", "60", podFailurePolicy={"rules": [rule]})
    first = k8s.running(name)["metadata"]["name"]
    cluster.evict(first)
    until(lambda: [pod for pod in k8s.pods(name) if pod["metadata"]["name"] != first])
    assert "failed" not in k8s.job(name)["status"]
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_a_job_that_takes_too_long_fails(k8s):
    name = k8s.run("sleep", "60", activeDeadlineSeconds=1)
    assert {"FailureTarget": "DeadlineExceeded", "Failed": "DeadlineExceeded"} == k8s.finished(name)
    assert "Job was active longer than specified deadline" == k8s.events(name)["DeadlineExceeded"]


def test_a_finished_job_is_removed_after_its_time(k8s, until):
    name = k8s.run("true", ttlSecondsAfterFinished=1)
    until(lambda: not k8s.batch.list_namespaced_job("default", field_selector=f"metadata.name={name}").items)
    until(lambda: not k8s.pods(name))


def test_suspending_ends_the_pods_and_resuming_makes_new_ones(k8s, until):
    name = k8s.run("sh", "-c", TERM)
    first = k8s.running(name)["metadata"]["uid"]
    until(lambda: "up" in k8s.log(name))
    k8s.batch.patch_namespaced_job(name, "default", {"spec": {"suspend": True}})
    until(lambda: k8s.conditions(name).get("Suspended") == "JobSuspended" and not k8s.pods(name))
    status = k8s.job(name)["status"]
    assert (None, None, None) == (status.get("startTime"), status.get("failed"), status.get("active"))
    k8s.batch.patch_namespaced_job(name, "default", {"spec": {"suspend": False}})
    assert first != k8s.running(name)["metadata"]["uid"]
    conditions = {one["type"]: one for one in k8s.job(name)["status"]["conditions"]}
    assert ("False", "JobResumed") == (conditions["Suspended"]["status"], conditions["Suspended"]["reason"])
    assert k8s.job(name)["status"]["startTime"]
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_an_indexed_job_gives_each_pod_its_index_and_its_name(k8s):
    show = "import os; print(os.environ['JOB_COMPLETION_INDEX'], os.environ['HOSTNAME'])"
    name = k8s.run("python", "-c", show, completionMode="Indexed", completions=2, parallelism=2)
    k8s.finished(name)
    assert "0,1" == k8s.job(name)["status"]["completedIndexes"]
    logs = []
    for pod in k8s.pods(name):
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert index == pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]
        assert pod["metadata"]["name"].startswith(f"{name}-{index}-")
        logs.append(k8s.pod_log(pod["metadata"]["name"]))
    assert [f"0 {name}-0\n", f"1 {name}-1\n"] == sorted(logs)


def test_one_failing_rank_ends_the_others(k8s, until):
    script = "if [ $JOB_COMPLETION_INDEX = 1 ]; then sleep 0.3; exit 5; fi; " + TERM
    name = k8s.run("sh", "-c", script, completionMode="Indexed", completions=2, parallelism=2)
    assert "BackoffLimitExceeded" == k8s.finished(name)["Failed"]
    assert (0, None) == (k8s.job(name)["status"]["terminating"], k8s.job(name)["status"].get("active"))
    (left,) = k8s.pods(name)
    assert "1" == left["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]


def test_the_pods_of_a_headless_service_find_each_other(k8s):
    service = {"metadata": {"name": "ranks"}, "spec": {"clusterIP": "None", "selector": {"ring": "a"}}}
    k8s.core.create_namespaced_service("default", service)
    known = {"name": "MASTER_ADDR", "value": "ring-0.ranks"}
    env = [known, {"name": "OTHER", "value": "ring-0.strangers"}]
    main = {"name": "main", "image": "python:3.11", "env": env}
    main["command"] = ["sh", "-c", "echo $MASTER_ADDR $OTHER"]
    pod = {"restartPolicy": "Never", "subdomain": "ranks", "containers": [main]}
    template = {"metadata": {"labels": {"ring": "a"}}, "spec": pod}
    name = k8s.run(name="ring", completionMode="Indexed", completions=1, template=template)
    k8s.finished(name)
    assert "127.0.0.1 ring-0.strangers\n" == k8s.log(name)


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ({"nodeSelector": {"disk": "fast"}}, "1 node(s) didn't match Pod's node affinity/selector"),
        ({"resources": {"cpu": "1000"}}, "1 Insufficient cpu"),
        ({"resources": {"cpu": "1", "nvidia.com/gpu": "1"}}, "1 Insufficient nvidia.com/gpu"),
    ],
)
def test_a_pod_that_fits_nowhere_says_why(k8s, until, pod, why):
    container = {"resources": {"limits": pod.pop("resources")}} if "resources" in pod else {}
    name = k8s.run("true", pod=pod, container=container)
    until(lambda: k8s.pod(name)["status"].get("conditions"))
    (condition,) = k8s.pod(name)["status"]["conditions"]
    assert ("PodScheduled", "False", "Unschedulable") == (
        condition["type"],
        condition["status"],
        condition["reason"],
    )
    assert condition["message"].startswith(f"0/1 nodes are available: {why}. ")
    assert condition["message"] == k8s.events(k8s.pod(name)["metadata"]["name"])["FailedScheduling"]
    assert "Pending" == k8s.pod(name)["status"]["phase"]
    assert "" == k8s.log(name)
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Foreground")
    until(lambda: not k8s.pods(name))


def test_a_waiting_pod_starts_when_a_node_with_room_appears(k8s, cluster, until):
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    toleration = [{"key": "gpu", "operator": "Exists"}]
    name = k8s.run("true", container=limits, pod={"tolerations": toleration})
    until(lambda: k8s.pod(name)["status"].get("conditions"))
    cluster.add_node("gpu-1", gpus=2)
    k8s.raw("PATCH", "/api/v1/nodes/gpu-1", {"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}})
    assert "Complete" in k8s.finished(name)
    assert "gpu-1" == k8s.pod(name)["spec"]["nodeName"]
    cluster.remove_node("gpu-1")


def test_a_node_that_is_removed_takes_its_pods_with_it(k8s, cluster, until):
    cluster.add_node("brief", labels={"where": "brief"})
    rule = {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget"}]}
    name = k8s.run(
        "sleep", "60", pod={"nodeSelector": {"where": "brief"}}, podFailurePolicy={"rules": [rule]}
    )
    pod = k8s.running(name)
    version = k8s.core.list_namespaced_pod("default").metadata.resource_version
    cluster.remove_node("brief")
    assert "BackoffLimitExceeded" == k8s.finished(name)["Failed"]
    last = {}
    for event in k8s.watch(
        k8s.core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=1
    ):
        if event["object"].metadata.name == pod["metadata"]["name"]:
            last = event
    reasons = {one.type: one.reason for one in last["object"].status.conditions}
    assert ("DELETED", "Failed", "DeletionByPodGC") == (
        last["type"], last["object"].status.phase, reasons["DisruptionTarget"],
    )  # fmt: skip


def test_a_lost_node_leaves_its_pods_terminating(k8s, cluster, until):
    cluster.add_node("lost", labels={"where": "lost"})
    name = k8s.run("sleep", "60", pod={"nodeSelector": {"where": "lost"}})
    k8s.running(name)
    cluster.lose_node("lost")
    (pod,) = until(lambda: [one for one in k8s.pods(name) if "deletionTimestamp" in one["metadata"]])
    reasons = {one["type"]: one.get("reason") for one in pod["status"]["conditions"]}
    assert ("Running", "DeletionByTaintManager") == (pod["status"]["phase"], reasons["DisruptionTarget"])
    cluster.remove_node("lost")
    until(lambda: not k8s.pods(name))
    assert "Failed" in k8s.finished(name)


def test_a_quota_refuses_pods_and_the_job_tries_again(k8s, cluster, until, new_job):
    cluster.create_namespace("tight")
    cluster.quota("tight", pods=1)
    for name in ("tight-1", "tight-2"):
        k8s.batch.create_namespaced_job("tight", new_job(name, "sleep", "60"))
    until(lambda: k8s.pods("tight-1", "tight"))

    def refusals():
        items = k8s.raw("GET", "/api/v1/namespaces/tight/events", fieldSelector="reason=FailedCreate")[
            "items"
        ]
        return [one for one in items if one["involvedObject"]["name"] == "tight-2"]

    event = until(refusals)[0]
    assert event["message"].startswith('Error creating: pods "tight-2-')
    assert event["message"].endswith(
        "exceeded quota: quota, requested: pods=1, used: pods=1, limited: pods=1"
    )
    quota = k8s.core.read_namespaced_resource_quota("quota", "tight")
    assert ({"pods": "1"}, {"pods": "1"}) == (quota.status.hard, quota.status.used)
    k8s.batch.delete_namespaced_job("tight-1", "tight", propagation_policy="Background")
    until(lambda: k8s.pods("tight-2", "tight"))
    k8s.core.delete_namespace("tight")


def test_a_restricted_namespace_refuses_pods_that_are_not(k8s, cluster, until, new_job):
    cluster.create_namespace("strict", {"pod-security.kubernetes.io/enforce": "restricted"})
    k8s.batch.create_namespaced_job("strict", new_job("loose"))
    event = until(lambda: k8s.raw("GET", "/api/v1/namespaces/strict/events")["items"])[0]
    assert "FailedCreate" == event["reason"]
    assert event["message"].endswith(
        ' is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
        '(container "main" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")'
    )
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
    body = new_job("tidy", pod=pod, container={"securityContext": context})
    k8s.batch.create_namespaced_job("strict", body)
    until(lambda: k8s.pods("tidy", "strict"))
