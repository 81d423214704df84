"""The stand-in cluster, a client of it, and specs of jobs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from services.kubernetes import IMAGE, standin  # noqa: F401

from mltemporal.launchers.kubernetes.api import Api
from mltemporal.launchers.kubernetes.manifest import job_manifest
from mltemporal.settings import ClusterSettings
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, PodOptions, TrainerRef

STORAGE = "s3://bucket/prefix"
SPEC = JobSpec(
    key="training-0123456789ab",
    name="Churn, the 3rd",
    dataset=DatasetRef(fingerprint="f", rows=3, columns=(), uri="s3://bucket/data.parquet"),
    trainer=TrainerRef(kind="function", label="fit"),
    backend="kubernetes",
    pod=PodOptions(image=IMAGE),
)


@pytest.fixture(name="spec")
def _spec() -> Callable[..., JobSpec]:
    """Make a spec; what belongs to the pod goes into ``pod``."""

    def make(*, pod: dict[str, Any] | None = None, **fields: Any) -> JobSpec:
        return replace(SPEC, pod=replace(SPEC.pod, **(pod or {})), **fields)

    return make


@pytest.fixture(name="manifest")
def _manifest(spec) -> Callable[..., dict[str, Any]]:
    """Make the manifest of a first attempt."""

    def make(*, settings: ClusterSettings | None = None, **fields: Any) -> dict[str, Any]:
        return job_manifest(
            spec(**fields), 1, settings or ClusterSettings(), storage_url=STORAGE, owner="0a1b2c3d"
        )

    return make


@pytest.fixture
async def api(standin, monkeypatch):  # noqa: F811
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    api = await Api.open(ClusterSettings())
    yield api
    await api.close()
