"""The Deployment of one build stands beside that of another."""

import re

import pytest
import yaml

from mltemporal.deployments.manifest import worker_manifest
from mltemporal.errors import InvalidRequest

FIRST, SECOND = (
    yaml.safe_load(worker_manifest(build, f"registry.example/ml/job:{build[:3]}"))
    for build in ("0.1.0-aaaaaaaa", "0.2.0+local.1-bbbbbbbb")
)


def test_two_builds_have_names_and_selectors_of_their_own() -> None:
    assert "mltemporal-worker-0-1-0-aaaaaaaa" == FIRST["metadata"]["name"]
    assert "mltemporal-worker-0-2-0-local-1-bbbbbbbb" == SECOND["metadata"]["name"]
    selectors = [each["spec"]["selector"]["matchLabels"] for each in (FIRST, SECOND)]
    assert selectors[0] != selectors[1]
    for each, selector in zip((FIRST, SECOND), selectors, strict=True):
        assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", v) for v in selector.values())
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", each["metadata"]["name"])


def test_each_has_its_image_and_takes_the_teams_jobs_only() -> None:
    (container,) = SECOND["spec"]["template"]["spec"]["containers"]
    assert "registry.example/ml/job:0.2" == container["image"]
    assert "--shared-only" == container["command"][-1]


def test_the_network_policy_and_the_role_still_fit() -> None:
    assert "mltemporal-worker" == SECOND["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    assert "mltemporal-worker" == SECOND["spec"]["template"]["spec"]["serviceAccountName"]


@pytest.mark.parametrize("image", ["", "a b", "x\n  privileged: true"])
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name of an image"):
        worker_manifest("0.1.0-aaaaaaaa", image)
