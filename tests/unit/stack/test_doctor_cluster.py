"""What the doctor says of a cluster: one line where there is none, else access, quota, image and Secret."""

import uuid
from pathlib import Path

import pytest
from services.kubernetes import standin  # noqa: F401

from mltemporal.settings import Settings, load_settings
from mltemporal.stack import doctor


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def namespace(standin, monkeypatch) -> str:  # noqa: F811
    """A namespace in the stand-in, which is the cluster from here on."""
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    standin.create_namespace(name)
    return name


def settings(tmp_path: Path, **given: str) -> Settings:
    named = {f"MLTEMPORAL_{name.upper()}": value for name, value in given.items()}
    return load_settings({"MLTEMPORAL_HOME": str(tmp_path), "MLTEMPORAL_STORAGE_URL": "s3://a/b", **named})


def looked(settings: Settings) -> dict[str, doctor.Check]:
    checks = [
        doctor._check(part, look, settings) for part, look in doctor.doctor_cluster.parts(settings).items()
    ]
    return {check.part: check for check in checks}


def test_without_a_cluster_one_line_says_so(tmp_path: Path) -> None:
    (check,) = looked(settings(tmp_path)).values()
    assert "ok       Kubernetes: not configured" == str(check)


def test_a_cluster_that_cannot_be_reached_is_one_problem(tmp_path: Path) -> None:
    (check,) = looked(settings(tmp_path, backend="kubernetes")).values()
    assert not check.ok
    assert f"there is no usable access to a cluster by '{tmp_path}/.kube/config': there is no such file" == (
        check.detail
    )
    assert "point KUBECONFIG at a kubeconfig" in check.next_step


def test_a_notebook_whose_workers_are_elsewhere_needs_no_access(tmp_path: Path) -> None:
    (check,) = looked(settings(tmp_path, backend="kubernetes", temporal="configured")).values()
    assert check.ok
    assert check.detail.startswith("not looked at from here; only workers need it: there is no usable access")


def test_a_cluster_in_order(namespace: str, standin, tmp_path: Path) -> None:  # noqa: F811
    standin.create_secret("storage", {"AWS_ACCESS_KEY_ID": "swordfish"}, namespace)
    standin.quota(namespace, pods=10)
    found = looked(
        settings(
            tmp_path,
            kubernetes_namespace=namespace,
            kubernetes_storage_secret="storage",
            image="mltemporal/job:test",
        )
    )
    assert [] == [str(check) for check in found.values() if not check.ok]
    assert {
        "Kubernetes access": f"v1.36.0+stand-in at {standin.url}, namespace {namespace!r}: "
        "all of the 13 verbs that a worker uses are allowed",
        "Kubernetes quota": "pods 0 of 10 used",
        "Kubernetes image": "a Job of 'mltemporal/job:test' would be taken in namespace "
        f"{namespace!r} of {standin.url}; a node pulls it with the first job",
        "Kubernetes storage Secret": "'storage' is there",
    } == {part: check.detail for part, check in found.items()}


def test_what_is_not_allowed_is_named(namespace: str, standin, tmp_path: Path) -> None:  # noqa: F811
    denied = [("watch", "pods"), ("create", "jobs"), ("list", "resourcequotas"), ("get", "secrets")]
    for verb, resource in denied:
        standin.forbid(verb, resource, namespace)
    found = looked(
        settings(tmp_path, kubernetes_namespace=namespace, kubernetes_storage_secret="s", image="a:1")
    )
    assert found["Kubernetes access"].detail.endswith("not allowed to create jobs, watch pods")
    assert "the Role of deploy/role.yaml" in found["Kubernetes access"].next_step
    assert "the cluster does not allow it" in found["Kubernetes image"].detail
    # neither of these is a worker's need
    assert found["Kubernetes quota"].ok
    assert "not readable from here" in found["Kubernetes quota"].detail
    assert found["Kubernetes storage Secret"].ok
    assert "may not be read from here" in found["Kubernetes storage Secret"].detail


def test_what_is_missing_or_used_up_is_a_problem(namespace: str, standin, tmp_path: Path) -> None:  # noqa: F811
    standin.quota(namespace, **{"count/jobs.batch": "0", "requests.cpu": "1"})
    found = looked(settings(tmp_path, kubernetes_namespace=namespace, kubernetes_storage_secret="storage"))
    assert "there is no Secret 'storage' in the namespace" in found["Kubernetes storage Secret"].detail
    assert f"kubectl --namespace {namespace} create secret" in found["Kubernetes storage Secret"].next_step
    assert found["Kubernetes quota"].ok, "a limit of 0 is a decision, not a shortage"
    assert found["Kubernetes image"].detail.startswith("none is set (MLTEMPORAL_IMAGE)")
    gone = looked(settings(tmp_path, kubernetes_namespace="nowhere", image="a:1"))["Kubernetes image"]
    assert gone.detail.startswith("there is no namespace 'nowhere'")


def test_a_quota_that_is_used_up_is_said(monkeypatch, tmp_path: Path) -> None:
    status = {"hard": {"pods": "2", "requests.cpu": "4"}, "used": {"pods": "2", "requests.cpu": "3500m"}}
    monkeypatch.setattr(
        doctor.doctor_cluster, "_ask", lambda settings, question: {"items": [{"status": status}]}
    )
    check = doctor._check("quota", doctor.doctor_cluster.quota, settings(tmp_path))
    assert "pods used up: pods 2 of 2 used, requests.cpu 3500m of 4 used" == check.detail
