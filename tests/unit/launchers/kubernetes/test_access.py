"""The Role in deploy/ grants what the launcher uses: neither less nor more."""

import re
from pathlib import Path

import pytest
import yaml

from mltemporal.launchers.kubernetes.access import VERBS, refused
from mltemporal.launchers.kubernetes.api import Api
from mltemporal.settings import ClusterSettings

ROOT = Path(__file__).parents[4]
LAUNCHER = ROOT / "mltemporal" / "launchers" / "kubernetes"


def objects(name: str) -> list[dict]:
    return list(yaml.safe_load_all((ROOT / "deploy" / name).read_text()))


def test_the_role_grants_exactly_the_table() -> None:
    role, binding = objects("role.yaml")
    granted = [
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert [(right.group, right.resource, right.verb) for right in VERBS] == granted
    assert role["metadata"]["name"] == binding["roleRef"]["name"]
    (account,) = objects("service-account.yaml")
    assert [account["metadata"]["name"]] == [subject["name"] for subject in binding["subjects"]]


def test_no_resource_is_used_that_is_not_in_the_table() -> None:
    """Read from the code: which resources have a path made, or are watched."""
    text = "".join((LAUNCHER / name).read_text() for name in ("launcher.py", "cluster.py", "output.py"))
    used = set(re.findall(r'\.path\("(\w+)"', text)) | set(re.findall(r'Reflector\(api, "(\w+)"', text))
    assert {right.resource.partition("/")[0] for right in VERBS} == used


def test_only_the_worker_mounts_a_token() -> None:
    (worker,) = objects("worker.yaml")
    pod = worker["spec"]["template"]["spec"]
    (account,) = objects("service-account.yaml")
    assert (False, True) == (account["automountServiceAccountToken"], pod["automountServiceAccountToken"])
    assert account["metadata"]["name"] == pod["serviceAccountName"]


@pytest.fixture
async def api(standin, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    api = await Api.open(ClusterSettings())
    yield api
    await api.close()


async def test_what_the_cluster_would_refuse_is_named(standin, api) -> None:
    assert [] == await refused(api)
    standin.forbid("watch", "pods")
    standin.forbid("get", "pods/log")
    try:
        assert ["watch pods", "get pods/log"] == [str(right) for right in await refused(api)]
    finally:
        standin.allow("watch", "pods")
        standin.allow("get", "pods/log")
