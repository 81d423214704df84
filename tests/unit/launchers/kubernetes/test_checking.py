"""What can be seen to be wrong with a request before the cluster is asked."""

from dataclasses import replace

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.kubernetes.checking import check_spec
from mltemporal.settings import ClusterSettings
from mltemporal.specs.data import ModelRef, ObjectRef
from mltemporal.specs.request import InferenceSpec, JobSpec, Resources, SecretRef, TrainerRef

STORAGE = "s3://bucket/prefix"
DIGEST = "sha256:" + "0" * 64


def refusal(spec, settings=None, storage_url=STORAGE) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check_spec(spec, settings or ClusterSettings(), storage_url=storage_url)
    assert caught.value.next_step
    return caught.value.what


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.11",
        "ghcr.io/acme/train:1.4",
        "localhost:5000/a/b_c--d.e:V1",
        f"a@{DIGEST}",
        f"a:1@{DIGEST}",
    ],
)
def test_names_of_images_that_are_right(spec, image: str) -> None:
    check_spec(spec(pod={"image": image}), ClusterSettings(), storage_url=STORAGE)


@pytest.mark.parametrize(
    "image", ["Python:3", "a b", "a:", "a:.x", "https://a/b", "a@sha256:1", "-a", "a//b"]
)
def test_names_of_images_that_are_none(spec, image: str) -> None:
    assert f"image={image!r} names no image" == refusal(spec(pod={"image": image}))


def test_a_job_needs_an_image(spec) -> None:
    assert "a Kubernetes job needs an image" == refusal(spec(pod={"image": ""}))


def test_a_policy_may_ask_for_tags_or_digests(spec) -> None:
    tags, digests = ClusterSettings(image_policy="tag"), ClusterSettings(image_policy="digest")
    assert "has no tag" in refusal(spec(pod={"image": "localhost:5000/a"}), tags)
    assert "has no digest" in refusal(spec(pod={"image": "a:1"}), digests)
    check_spec(spec(pod={"image": f"a@{DIGEST}"}), tags, storage_url=STORAGE)
    check_spec(spec(pod={"image": f"a:1@{DIGEST}"}), digests, storage_url=STORAGE)


def test_what_pods_cannot_see_is_refused(spec) -> None:
    assert "the storage '/data' is a directory of this machine" in refusal(spec(), storage_url="/data")
    local = spec()
    local = replace(local, dataset=replace(local.dataset, uri="/data/x.csv"))
    assert "the dataset '/data/x.csv' is a file of this machine" in refusal(local)


@pytest.mark.parametrize(
    ("resources", "what"),
    [
        (Resources(memory="lots"), "resources memory='lots' is no quantity of Kubernetes"),
        (Resources(memory="4"), "resources memory='4' is 4 bytes"),
        (Resources(cpu=0.0), "resources cpu='0' is not possible"),
        (Resources(others={"nvidia.com/gpu": "0.5"}), "resources nvidia.com/gpu='0.5' is not possible"),
        (Resources(others={"ephemeral-storage": "0"}), "resources ephemeral-storage='0' is not possible"),
    ],
)
def test_impossible_resources_are_named(spec, resources: Resources, what: str) -> None:
    assert refusal(spec(resources=resources)).startswith(what)


@pytest.mark.parametrize(
    ("pod", "what"),
    [
        ({"secrets": (SecretRef(name="Wand_b"),)}, "secrets='Wand_b' cannot name a Kubernetes object"),
        ({"image_pull_secrets": ("a/b",)}, "image_pull_secrets='a/b' cannot name"),
        ({"service_account": "-me"}, "service_account='-me' cannot name"),
        ({"priority_class": "Hi"}, "priority_class='Hi' cannot name"),
        ({"service_account": "a." * 130}, f"service_account={'a.' * 130!r} is too long"),
        ({"volumes": {"data": {}}}, "'data' cannot be mounted at"),
        ({"volumes": {"/": {}}}, "'/' cannot be mounted at"),
        ({"volumes": {"/scratch/": {}}}, "'/scratch/' cannot be mounted at"),
        ({"secrets": (SecretRef(name="a", mount_path="/a/../b"),)}, "'/a/../b' cannot be mounted at"),
    ],
)
def test_names_and_paths_that_cannot_be(spec, pod, what: str) -> None:
    assert refusal(spec(pod=pod)).startswith(what)


def test_only_code_that_knows_ranks_trains_on_several_nodes(spec) -> None:
    baseline = TrainerRef(kind="baseline", label="baseline")
    assert "a baseline cannot train on nodes=2" == refusal(spec(pod={"nodes": 2}, trainer=baseline))
    check_spec(spec(pod={"nodes": 2}), ClusterSettings(), storage_url=STORAGE)


def test_shards_are_worked_on_by_several_nodes_and_written_where_pods_see_it(spec) -> None:
    def scoring(output: str) -> JobSpec:
        model = ModelRef(object=ObjectRef(sha256="0" * 64, size_bytes=1), label="model")
        inference = InferenceSpec(model=model, output=output)
        trainer = TrainerRef(kind="model", label="model")
        return spec(kind="inference", trainer=trainer, inference=inference, pod={"nodes": 4})

    for output in ("", "s3://bucket/scores"):
        check_spec(scoring(output), ClusterSettings(), storage_url=STORAGE)
    assert "the output '/data/scores' is a folder of this machine" in refusal(scoring("/data/scores"))


def test_a_template_is_checked_too(spec) -> None:
    bad = spec(pod={"template": {"spec": {"restartPolicy": "Always"}}})
    assert "the pod template changes restartPolicy" in refusal(bad)
