"""The Kubernetes Deployment of one build's workers, to stand beside those of others."""

from __future__ import annotations

import re
from pathlib import Path

import mltemporal
from mltemporal.errors import InvalidRequest

_LONGEST_NAME = 63
_PACKAGED, _SOURCE = "_deploy/worker.yaml", "../deploy/worker.yaml"


def worker_manifest(build: str, image: str) -> str:
    """Return ``deploy/worker.yaml`` with the build in its name and labels, and an image that holds it.

    Raises:
        InvalidRequest: the image's name is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", image):
        raise InvalidRequest(f"{image!r} is no name of an image", "pass --image registry.example/ml/job:1.1")
    package = Path(mltemporal.__file__).parent
    path = next(path for path in (package / _PACKAGED, package / _SOURCE) if path.exists())
    text = path.read_text(encoding="utf-8")
    suffix = re.sub(r"[^a-z0-9-]+", "-", build.lower())
    name = f"mltemporal-worker-{suffix}"[:_LONGEST_NAME].rstrip("-")
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", build)[:_LONGEST_NAME]
    text = text.replace("  name: mltemporal-worker\n", f"  name: {name}\n", 1)
    text = text.replace("app.kubernetes.io/version: first", f'app.kubernetes.io/version: "{label}"')
    return text.replace("image: mltemporal/job\n", f"image: {image}\n")
