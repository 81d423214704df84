"""The thin client: how it gets in, and what it makes of the cluster's refusals."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from mltemporal.errors import InvalidRequest, NotFound, ServiceUnavailable
from mltemporal.launchers.kubernetes.api import Api, Conflict, Forbidden, Gone, _refusal, _warning
from mltemporal.settings import ClusterSettings


@pytest.mark.parametrize(
    ("status", "message", "kind", "says"),
    [
        (400, "bad", InvalidRequest, "the cluster refuses: bad"),
        (
            401,
            "Unauthorized",
            ServiceUnavailable,
            "the cluster does not accept the credentials: Unauthorized",
        ),
        (403, "jobs is forbidden", Forbidden, "the cluster does not allow it: jobs is forbidden"),
        (403, "exceeded quota: q", ServiceUnavailable, "the namespace's quota is used up: exceeded quota: q"),
        (404, 'jobs "a" not found', NotFound, 'the cluster has none: jobs "a" not found'),
        (409, "exists", Conflict, "the cluster has one already: exists"),
        (410, "too old", Gone, "too old: too old"),
        (422, "invalid", InvalidRequest, "the cluster refuses: invalid"),
        (429, "slow down", ServiceUnavailable, "the cluster is busy or ill: slow down"),
        (500, "etcd", ServiceUnavailable, "the cluster is busy or ill: etcd"),
        (503, "no", ServiceUnavailable, "the cluster is busy or ill: no"),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(status: int, message: str, kind: type, says: str) -> None:
    error = _refusal(status, json.dumps({"kind": "Status", "message": message}).encode(), "/p")
    assert kind is type(error)
    assert says == error.what
    assert error.next_step


def test_an_answer_that_is_no_status_is_shown_as_it_is() -> None:
    assert "the cluster is busy or ill: <html>Bad gateway</html>" == (
        _refusal(502, b"<html>Bad gateway</html>", "/p").what
    )


def test_a_warning_is_its_text() -> None:
    assert 'would violate PodSecurity "restricted:latest"' == _warning(
        '299 - "would violate PodSecurity \\"restricted:latest\\""'
    )
    assert "odd" == _warning("odd")


@pytest.fixture
def kubeconfig(standin, tmp_path: Path, monkeypatch) -> Path:
    """The stand-in's kubeconfig, with a second context that has a namespace."""
    found = yaml.safe_load(Path(standin.kubeconfig).read_text())
    context = next(each for each in found["contexts"] if each["name"] == found["current-context"])
    found["contexts"].append({"name": "work", "context": {**context["context"], "namespace": "ml"}})
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(found))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [
        (ClusterSettings(), "default"),
        (ClusterSettings(context="work"), "ml"),
        (ClusterSettings(context="work", namespace="mine"), "mine"),
    ],
)
async def test_the_namespace_is_the_settings_or_the_contexts(kubeconfig, settings, namespace) -> None:
    api = await Api.open(settings)
    await api.close()
    assert namespace == api.namespace


async def test_no_way_in_is_said(kubeconfig, monkeypatch) -> None:
    with pytest.raises(
        InvalidRequest, match="there is no usable access to a cluster by .*object with name play"
    ) as caught:
        await Api.open(ClusterSettings(context="play"))
    assert "MLTEMPORAL_KUBERNETES_CONTEXT" in caught.value.next_step
    kubeconfig.write_text("{")
    with pytest.raises(InvalidRequest, match="there is no usable access"):
        await Api.open(ClusterSettings())
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    with pytest.raises(InvalidRequest, match="by '/nowhere/config': there is no such file"):
        await Api.open(ClusterSettings())


async def test_credentials_that_are_not_accepted_may_be_renewed(kubeconfig) -> None:
    found = yaml.safe_load(kubeconfig.read_text())
    for user in found["users"]:
        user["user"] = {"token": "old"}
    for cluster in found["clusters"]:
        cluster["cluster"]["server"] = "/".join(cluster["cluster"]["server"].split("/")[:3])
    kubeconfig.write_text(yaml.safe_dump(found))
    api = await Api.open(ClusterSettings())
    with pytest.raises(ServiceUnavailable, match="does not accept the credentials"):
        await api.get(api.path("jobs"))
    await api.close()


async def test_a_token_that_is_no_longer_accepted_is_made_anew(kubeconfig) -> None:
    """As by a cloud's log-in program, or by a person who logs in again: the worker goes on."""
    found = yaml.safe_load(kubeconfig.read_text())
    tokens = [user["user"]["token"] for user in found["users"]]
    for cluster in found["clusters"]:
        cluster["cluster"]["server"] = "/".join(cluster["cluster"]["server"].split("/")[:3])

    def write(tokens: list[str]) -> None:
        for user, token in zip(found["users"], tokens, strict=True):
            user["user"] = {"token": token}
        kubeconfig.write_text(yaml.safe_dump(found))

    write(["old"] * len(tokens))
    api = await Api.open(ClusterSettings())
    write(tokens)
    lists = await asyncio.gather(*(api.get(api.path("jobs")) for _ in range(5)))
    assert ["JobList"] * 5 == [each["kind"] for each in lists]
    await api.close()


async def test_of_a_secret_only_the_metadata_is_asked_for(standin, api) -> None:
    standin.create_secret("named", {"TOKEN": "swordfish"})
    assert "named" == (await api.metadata(api.path("secrets", "named")))["metadata"]["name"]


async def test_a_rehearsal_creates_nothing(api) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rehearsed"}}
    assert [] == await api.rehearse(api.path("configmaps"), body)
    with pytest.raises(NotFound):
        await api.get(api.path("configmaps", "rehearsed"))
