"""The manifests in deploy/ fit the code and each other."""

from pathlib import Path

import pytest
import yaml

from mltemporal.launchers.kubernetes.manifest import job_manifest
from mltemporal.settings import ClusterSettings, load_settings
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, PodOptions, TrainerRef

DEPLOY = Path(__file__).parents[2] / "deploy"


def objects(name: str) -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def worker() -> dict:
    (deployment,) = objects("worker.yaml")
    return deployment["spec"]


def labels_of_pods(nodes: int) -> dict[str, str]:
    spec = JobSpec(
        key="training-1",
        name="n",
        dataset=DatasetRef(fingerprint="", rows=1, columns=(), uri="s3://a/b"),
        trainer=TrainerRef(kind="function", label="fit"),
        pod=PodOptions(image="a:1", nodes=nodes),
    )
    job = job_manifest(spec, 1, ClusterSettings(), storage_url="s3://a/b", owner="o")
    added = {"batch.kubernetes.io/job-completion-index": "0"} if "completionMode" in job["spec"] else {}
    return job["spec"]["template"]["metadata"]["labels"] | added


def selects(selector: dict, labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        each["key"] in labels for each in selector.get("matchExpressions", [])
    )


def test_every_manifest_is_applied_but_the_example_of_a_namespace() -> None:
    (kustomization,) = objects("kustomization.yaml")
    there = {path.name for path in DEPLOY.glob("*.yaml")} - {"kustomization.yaml", "namespace.yaml"}
    assert there == set(kustomization["resources"])


def test_the_settings_of_the_worker_are_settings() -> None:
    given = dict(line.split("=", 1) for line in (DEPLOY / "worker.env").read_text().splitlines())
    settings = load_settings({"MLTEMPORAL_HOME": "/scratch", **given})
    assert settings.temporal_configured
    assert given.items() - settings.environ().items() == {
        item for item in given.items() if item[0].startswith("TEMPORAL_")
    }
    images = objects("kustomization.yaml")[0]["images"][0]
    assert f"{images['name']}:{images['newTag']}" == settings.image
    assert images["name"] == worker()["template"]["spec"]["containers"][0]["image"]
    secrets = [each["secretRef"]["name"] for each in _sources() if "secretRef" in each]
    assert settings.cluster.storage_secret in secrets


def _sources() -> list[dict]:
    return worker()["template"]["spec"]["containers"][0]["envFrom"]


def test_the_worker_meets_the_restricted_standard() -> None:
    pod = worker()["template"]["spec"]
    (container,) = pod["containers"]
    assert (True, {"type": "RuntimeDefault"}) == (
        pod["securityContext"]["runAsNonRoot"],
        pod["securityContext"]["seccompProfile"],
    )
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]
    assert {"requests", "limits"} == container["resources"].keys()


def test_there_is_always_a_worker() -> None:
    rolling = worker()["strategy"]["rollingUpdate"]
    assert (0, True) == (rolling["maxUnavailable"], worker()["minReadySeconds"] > 0)
    assert worker()["selector"]["matchLabels"].items() <= worker()["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("labels", "policies"),
    [
        (worker()["template"]["metadata"]["labels"], ["mltemporal-worker"]),
        (labels_of_pods(1), ["mltemporal-job"]),
        (labels_of_pods(2), ["mltemporal-job", "mltemporal-ranks"]),
    ],
)
def test_each_pod_has_its_network_policies(labels: dict[str, str], policies: list[str]) -> None:
    found = objects("network-policy.yaml")
    chosen = [each for each in found if selects(each["spec"]["podSelector"], labels)]
    assert policies == [each["metadata"]["name"] for each in chosen]
    assert all("Ingress" in each["spec"]["policyTypes"] for each in chosen)
    open_to = [
        peer["podSelector"]
        for each in found
        for rule in each["spec"].get("ingress", [])
        for peer in rule["from"]
    ]
    assert all(selects(peer, labels_of_pods(2)) and not selects(peer, labels_of_pods(1)) for peer in open_to)
