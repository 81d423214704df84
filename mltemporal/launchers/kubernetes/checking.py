"""What of a request can be refused before the cluster is asked."""

from __future__ import annotations

import re

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.kubernetes.manifest import (
    check_name,
    job_manifest,
    ranks_meet,
    resource_amounts,
)
from mltemporal.settings import ClusterSettings
from mltemporal.specs.request import JobSpec

_IMAGE = re.compile(
    r"(?P<name>(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
"""The reference grammar of https://github.com/distribution/reference."""
_RESERVED_PATHS = ("/", "/scratch", "/tmp", "/dev/shm")  # noqa: S108
_RANKED = ("function", "script", "container")


def check_spec(spec: JobSpec, settings: ClusterSettings, *, storage_url: str) -> None:
    """Refuse what a Kubernetes Job cannot be, naming it.

    Raises:
        InvalidRequest: image, resources, names, paths or the pod template are wrong, or the storage
            is a directory, which no pod sees.
    """
    if "://" not in storage_url:
        raise InvalidRequest(
            f"the storage {storage_url!r} is a directory of this machine, which no pod sees",
            "set MLTEMPORAL_STORAGE_URL=s3://bucket/prefix for the kernel and the workers",
        )
    uri = spec.dataset.uri
    if uri is not None and "://" not in uri:
        raise InvalidRequest(
            f"the dataset {uri!r} is a file of this machine, which no pod sees",
            "copy it to s3://, or pass the table itself: it is stored with the job",
        )
    for made in (spec.preparation, spec.inference):
        if made is not None and made.output and "://" not in made.output:
            raise InvalidRequest(
                f"the output {made.output!r} is a folder of this machine, which no pod sees",
                "name an s3:// prefix, or leave output= out: it goes to the storage",
            )
    _check_image(spec.pod.image, settings)
    resource_amounts(spec)
    check_name("the job's key", spec.key)
    if ranks_meet(spec) and spec.trainer.kind not in _RANKED:
        raise InvalidRequest(
            f"a {spec.trainer.kind} cannot train on nodes={spec.pod.nodes}",
            "pass a function, Script or Container that reads RANK and WORLD_SIZE, or leave nodes out",
        )
    for secret in spec.pod.secrets:
        _check_object("secrets", secret.name)
    for name in spec.pod.image_pull_secrets:
        _check_object("image_pull_secrets", name)
    for what, name in (
        ("service_account", spec.pod.service_account),
        ("priority_class", spec.pod.priority_class),
    ):
        if name:
            _check_object(what, name)
    for path in [*spec.pod.volumes, *(secret.mount_path for secret in spec.pod.secrets if secret.mount_path)]:
        if not path.startswith("/") or ".." in path.split("/") or path.rstrip("/") in ("", *_RESERVED_PATHS):
            raise InvalidRequest(
                f"{path!r} cannot be mounted at",
                f"give an absolute path other than {', '.join(_RESERVED_PATHS)}",
            )
    job_manifest(spec, 1, settings, storage_url=storage_url, owner="check")  # merges the pod template


def _check_image(image: str, settings: ClusterSettings) -> None:
    if not image:
        raise InvalidRequest(
            "a Kubernetes job needs an image",
            "pass image='registry/name:tag', or set MLTEMPORAL_IMAGE; deploy/Dockerfile makes one",
        )
    found = _IMAGE.fullmatch(image)
    if not found or len(image) > 512:
        raise InvalidRequest(
            f"image={image!r} names no image", "write registry/name:tag, in lower case but for the tag"
        )
    if settings.image_policy == "tag" and not (found["tag"] or found["digest"]):
        raise InvalidRequest(
            f"image={image!r} has no tag, and the policy here asks for one", f"name a version: {image}:1.0"
        )
    if settings.image_policy == "digest" and not found["digest"]:
        raise InvalidRequest(
            f"image={image!r} has no digest, and the policy here asks for one", f"write {image}@sha256:…"
        )


def _check_object(what: str, name: str) -> None:
    """Secrets and service accounts are named by DNS subdomains: labels with dots between."""
    if len(name) > 253:
        raise InvalidRequest(f"{what}={name!r} is too long", "use at most 253 characters")
    for label in name.split("."):
        check_name(what, label)
