"""The Job of an attempt, as the API server takes it."""

from mltemporal.launchers.kubernetes.manifest import selector, service_manifest
from mltemporal.progress import KEEP_VARIABLE
from mltemporal.settings import ClusterSettings
from mltemporal.specs.request import Resources, SecretRef, TrainerRef


def pod_of(job):
    return job["spec"]["template"]["spec"]


def container_of(job):
    return pod_of(job)["containers"][0]


def values(job):
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container_of(job)["env"]}


def test_a_job_is_named_after_key_and_attempt_and_leads_back_to_the_workflow(manifest) -> None:
    metadata = manifest()["metadata"]
    assert "training-0123456789ab-1" == metadata["name"]
    assert {
        "app.kubernetes.io/managed-by": "mltemporal",
        "app.kubernetes.io/name": "training",
        "mltemporal.io/owner": "0a1b2c3d",
        "mltemporal.io/job": "training-0123456789ab",
        "mltemporal.io/attempt": "1",
    } == metadata["labels"]
    assert {
        "mltemporal.io/name": "Churn, the 3rd",
        "mltemporal.io/workflow-id": "training-0123456789ab",
    } == metadata["annotations"]
    assert set(selector("0a1b2c3d").split(",")) <= {f"{k}={v}" for k, v in metadata["labels"].items()}


def test_retries_and_time_are_temporals_and_kubernetes_is_the_last_net(manifest) -> None:
    spec = manifest(timeout_s=3600.0, grace_s=30.0)["spec"]
    assert (0, 3600 + 30 + 600, 86_400) == (
        spec["backoffLimit"],
        spec["activeDeadlineSeconds"],
        spec["ttlSecondsAfterFinished"],
    )
    assert ("Never", 30) == (
        spec["template"]["spec"]["restartPolicy"],
        spec["template"]["spec"]["terminationGracePeriodSeconds"],
    )


def test_a_pod_meets_the_restricted_standard(manifest) -> None:
    job = manifest()
    pod, container = pod_of(job), container_of(job)
    assert pod["automountServiceAccountToken"] is False
    assert (True, {"type": "RuntimeDefault"}) == (
        pod["securityContext"]["runAsNonRoot"],
        pod["securityContext"]["seccompProfile"],
    )
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]
    assert {"/scratch", "/tmp", "/dev/shm"} == {mount["mountPath"] for mount in container["volumeMounts"]}


def test_what_is_asked_for_is_requested_and_is_the_limit(manifest) -> None:
    resources = Resources(cpu=1.5, memory="4Gi", others={"nvidia.com/gpu": "1"})
    wanted = {"cpu": "1.5", "memory": "4Gi", "nvidia.com/gpu": "1"}
    container = container_of(manifest(resources=resources))
    assert {"requests": wanted, "limits": wanted} == container["resources"]
    assert {} == container_of(manifest())["resources"].get("limits")


def test_options_that_are_not_given_are_left_out(manifest) -> None:
    absent = {"nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets", "subdomain"}
    assert set() == absent & pod_of(manifest()).keys()


def test_options_go_where_a_pod_has_them(manifest) -> None:
    pod = pod_of(
        manifest(
            pod={
                "node_selector": {"disk": "ssd"},
                "tolerations": ({"key": "gpu", "operator": "Exists"},),
                "affinity": {"nodeAffinity": {}},
                "priority_class": "high",
                "service_account": "jobs",
                "image_pull_secrets": ("registry",),
                "volumes": {"/data": {"persistentVolumeClaim": {"claimName": "data"}}},
            }
        )
    )
    assert ({"disk": "ssd"}, [{"key": "gpu", "operator": "Exists"}], "high", "jobs") == (
        pod["nodeSelector"],
        pod["tolerations"],
        pod["priorityClassName"],
        pod["serviceAccountName"],
    )
    assert [{"name": "registry"}] == pod["imagePullSecrets"]
    volume = next(each for each in pod["volumes"] if "persistentVolumeClaim" in each)
    assert {"name": volume["name"], "mountPath": "/data"} in pod["containers"][0]["volumeMounts"]


def test_what_the_cluster_gives_all_jobs_a_job_can_override(manifest) -> None:
    settings = ClusterSettings(service_account="all", image_pull_secrets=("all",), storage_secret="storage")
    pod = pod_of(manifest(settings=settings))
    assert ("all", [{"name": "all"}]) == (pod["serviceAccountName"], pod["imagePullSecrets"])
    assert [{"secretRef": {"name": "storage"}}] == pod["containers"][0]["envFrom"]
    own = pod_of(manifest(settings=settings, pod={"service_account": "one", "image_pull_secrets": ("one",)}))
    assert ("one", [{"name": "one"}]) == (own["serviceAccountName"], own["imagePullSecrets"])


def test_secrets_are_referred_to(manifest) -> None:
    job = manifest(pod={"secrets": (SecretRef(name="wandb"), SecretRef(name="tls", mount_path="/etc/tls"))})
    assert [{"secretRef": {"name": "wandb"}}] == container_of(job)["envFrom"]
    volume = next(each for each in pod_of(job)["volumes"] if "secret" in each)
    assert {"secretName": "tls"} == volume["secret"]
    assert {"name": volume["name"], "mountPath": "/etc/tls"} in container_of(job)["volumeMounts"]


def test_what_is_reported_is_kept_beside_checkpoints_since_a_log_goes_with_its_pod(manifest) -> None:
    assert "1" == values(manifest())[KEEP_VARIABLE]


def test_the_users_variables_win(manifest) -> None:
    told = values(manifest(env={"HOME": "/data", "MINE": "1"}, resources=Resources(cpu=2)))
    assert ("/data", "1", "2") == (told["HOME"], told["MINE"], told["OMP_NUM_THREADS"])
    names = [each["name"] for each in container_of(manifest(env={"HOME": "/data"}))["env"]]
    assert len(names) == len(set(names))


def test_a_container_of_the_users_runs_its_own_command_and_finds_the_data(manifest) -> None:
    trainer = TrainerRef(kind="container", label="r", command=("Rscript",), args=("fit.R",))
    container = container_of(manifest(trainer=trainer))
    assert (["Rscript"], ["fit.R"]) == (container["command"], container["args"])
    assert "s3://bucket/data.parquet" == values(manifest(trainer=trainer))["MLTEMPORAL_DATASET"]
    bare = container_of(manifest(trainer=TrainerRef(kind="container", label="r")))
    assert set() == {"command", "args"} & bare.keys(), "what its image runs by itself"


def test_several_nodes_are_an_indexed_job_whose_ranks_find_each_other(manifest, spec) -> None:
    job = manifest(pod={"nodes": 3})
    assert ("Indexed", 3, 3) == tuple(
        job["spec"][n] for n in ("completionMode", "completions", "parallelism")
    )
    name = job["metadata"]["name"]
    told = values(job)
    assert ("3", f"{name}-0.{name}", "29500") == (
        told["WORLD_SIZE"],
        told["MASTER_ADDR"],
        told["MASTER_PORT"],
    )
    assert "job-completion-index" in told["RANK"]["fieldRef"]["fieldPath"]
    assert name == pod_of(job)["subdomain"]
    created = {**job, "metadata": {**job["metadata"], "uid": "u"}}
    service = service_manifest(spec(pod={"nodes": 3}), 1, created)
    assert ("None", True) == (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"])
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert [("Job", name, "u")] == [
        (each["kind"], each["name"], each["uid"]) for each in service["metadata"]["ownerReferences"]
    ]
    assert "completionMode" not in manifest()["spec"]


def test_ranks_that_work_on_shards_are_counted_and_do_not_meet(manifest, spec) -> None:
    job = manifest(kind="inference", pod={"nodes": 3})
    told = values(job)
    assert ("Indexed", "3") == (job["spec"]["completionMode"], told["WORLD_SIZE"])
    assert "job-completion-index" in told["RANK"]["fieldRef"]["fieldPath"]
    assert set() == {"MASTER_ADDR", "PET_NNODES", "NODE_RANK"} & told.keys()
    assert "subdomain" not in pod_of(job)
    assert "inference" == job["metadata"]["labels"]["app.kubernetes.io/name"]
