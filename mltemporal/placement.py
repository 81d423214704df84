"""Where and how a job over shards runs, and where it writes: checked for `preprocess` and `predict` alike."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mltemporal import request
from mltemporal.errors import InvalidRequest

if TYPE_CHECKING:
    from mltemporal.session import Session
    from mltemporal.settings import Settings
    from mltemporal.specs.request import Resources


def placement(
    settings: Settings,
    *,
    workers: object,
    backend: str | None,
    image: str | None,
    resources: Mapping[str, Any] | Resources | None,
    packages: object,
    env: Mapping[str, str] | None,
    secrets: object,
    retries: object,
    timeout: str | float | timedelta,
    pod_template: object,
) -> dict[str, Any]:
    """Return where and how the job runs, as `JobSpec`'s fields.

    ``workers`` are pods on Kubernetes and processes of this machine otherwise, where each takes a core.

    Raises:
        InvalidRequest: names the argument that is wrong.
    """
    where = request.backend(backend, settings.backend)
    asked = request.resources(resources)
    several = 1 if workers is None else request.whole_number("workers", workers, 1, 10_000)
    if where == "local" and workers is not None:
        if asked.cpu is not None and asked.cpu != several:
            raise InvalidRequest(
                f"workers={several} beside resources cpu={asked.cpu:g}",
                "give one of them: on this machine each worker is a process with a core of its own",
            )
        asked = replace(asked, cpu=float(several))
    pod = request.pod_options(
        image=image,
        nodes=several if where == "kubernetes" else 1,
        packages=packages,
        secrets=secrets,
        node_selector=None,
        tolerations=(),
        affinity=None,
        priority_class=None,
        service_account=None,
        image_pull_secrets=(),
        volumes=None,
        pod_template=pod_template,
    )
    if where == "kubernetes" and not pod.image:
        pod = replace(pod, image=settings.image or "")
    return {
        "backend": where,
        "resources": asked,
        "pod": pod,
        "env": request.environment(env),
        "retries": request.whole_number("retries", retries, 0, 100),
        "timeout_s": request.seconds(timeout),
    }


def output_place(output: str | os.PathLike[str] | None) -> str:
    """Return the absolute folder or ``s3://`` prefix to write to; empty where none is given.

    Raises:
        InvalidRequest: it is neither.
    """
    from mltemporal.storage.output import output_url

    return "" if output is None else output_url(output)


def check_output(here: Session, place: str, fingerprint: str, *, overwrite: bool, force: bool) -> None:
    """Refuse to write where something is already; a live job of the same request writes there rightly.

    Raises:
        InvalidRequest: the place is taken, or another job still writes there.
        ServiceUnavailable: S3 does not answer.
    """
    from mltemporal.storage.output import Output

    if not place or (not force and here.database.jobs.live(fingerprint) is not None):
        return
    output = Output(place)
    output.check_free(overwrite)
    key = output.owner()
    writing = None if key is None else here.database.leftovers.of_key(key)
    if writing is not None and not writing.status.final:
        raise InvalidRequest(
            f"job {writing.id} still writes to the output {place!r}",
            f"wait for it or cancel it, mltemporal.job({writing.id}), or name another output",
        )


def check_apart(place: str, source: str | None) -> None:
    """Refuse an output that would replace, or become part of, what is read.

    Args:
        place: as `output_place` returns it.
        source: path or URI of the dataset that is read; None where it is in storage.

    Raises:
        InvalidRequest: the one is, or lies in, the other.
    """
    if source is None or not place:
        return
    start = re.split(r"[*?[]", source, maxsplit=1)[0]
    read = _folder(start if start == source else start.rpartition("/")[0])
    written = _folder(place)
    if read.startswith(written) or (start == source and written.startswith(read)):
        raise InvalidRequest(
            f"the output {place!r} is, or lies in, or holds the dataset {source!r}", "name another folder"
        )


def _folder(url: str) -> str:
    return f"{url.rstrip('/') if '://' in url else os.path.realpath(os.path.expanduser(url))}/"
