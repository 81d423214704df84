"""The Job of one attempt, and the Service of one that has several ranks, as the API server takes them."""

from __future__ import annotations

import re
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.kubernetes.quantities import amount
from mltemporal.launchers.kubernetes.template import CONTAINER, check_contract, merge
from mltemporal.launchers.threads import thread_settings
from mltemporal.progress import KEEP_VARIABLE
from mltemporal.settings import ClusterSettings
from mltemporal.specs.request import JobSpec

Json = dict[str, Any]

SCRATCH = "/scratch"
RENDEZVOUS_PORT = 29500

MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "mltemporal.io/owner"
KEY = "mltemporal.io/job"
ATTEMPT = "mltemporal.io/attempt"
STOPPED = "mltemporal.io/stopped"
"""Annotation of a Job whose attempt was asked to end."""
DISPLAY_NAME = "mltemporal.io/name"
WORKFLOW = "mltemporal.io/workflow-id"

_KEPT_S = 24 * 3600
"""How long Kubernetes keeps an ended Job that nobody cleaned up."""

_SLACK_S = 600
"""Between the job's own time, which Temporal keeps, and Kubernetes' deadline, a last net."""

_USER = 65532
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def selector(owner: str) -> str:
    """Return the label selector of everything that the workers of one database made."""
    return f"{MANAGED_BY}=mltemporal,{OWNER}={owner}"


def job_name(key: str, attempt: int) -> str:
    """Return the name of an attempt's Job."""
    return f"{key}-{attempt}"


def job_manifest(
    spec: JobSpec, attempt: int, settings: ClusterSettings, *, storage_url: str, owner: str
) -> Json:
    """Return the Job of an attempt.

    Raises:
        InvalidRequest: the pod template breaks what we rely on.
    """
    name = job_name(spec.key, attempt)
    metadata = {
        "name": name,
        "labels": {
            MANAGED_BY: "mltemporal",
            "app.kubernetes.io/name": spec.kind,
            OWNER: owner,
            KEY: spec.key,
            ATTEMPT: str(attempt),
        },
        # What a person calls it may hold any character: no place for a label.
        "annotations": {DISPLAY_NAME: spec.name, WORKFLOW: spec.key},
    }
    several: Json = {}
    if spec.pod.nodes > 1:
        several = {"completionMode": "Indexed", "completions": spec.pod.nodes, "parallelism": spec.pod.nodes}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            **several,
            "backoffLimit": 0,  # another attempt is Temporal's to start, from the checkpoint
            "activeDeadlineSeconds": deadline_s(spec.timeout_s + spec.grace_s),
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": _template(spec, attempt, metadata, settings, storage_url),
        },
    }


def deadline_s(time_s: float) -> int:
    """Return after how long Kubernetes ends a Job that may take ``time_s``."""
    return int(time_s) + _SLACK_S


def ranks_meet(spec: JobSpec) -> bool:
    """Whether the job's ranks talk to each other; those that work on shards meet in storage only."""
    return spec.kind == "training" and spec.pod.nodes > 1


def service_manifest(spec: JobSpec, attempt: int, job: Json) -> Json:
    """Return the headless Service by which the ranks find each other; it goes with the Job."""
    name = job["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": job["metadata"]["labels"],
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
            ],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # they meet before any of them is ready
            "selector": {KEY: spec.key, ATTEMPT: str(attempt)},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }


def resource_amounts(spec: JobSpec) -> dict[str, str]:
    """Return what the container asks for, by Kubernetes' names.

    Raises:
        InvalidRequest: a quantity is none, or not above zero.
    """
    wanted = dict(spec.resources.others)
    if spec.resources.cpu is not None:
        wanted["cpu"] = f"{spec.resources.cpu:g}"
    if spec.resources.memory is not None:
        wanted["memory"] = spec.resources.memory
    for name, quantity in wanted.items():
        number = amount(f"resources {name}", quantity)
        whole = name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-")
        if number <= 0 or (whole and number != number.to_integral_value()):
            raise InvalidRequest(
                f"resources {name}={quantity!r} is not possible",
                "ask for a whole number above 0" if whole else "ask for more than 0",
            )
        if name == "memory" and number < 32 * 1024**2:
            raise InvalidRequest(f"resources memory={quantity!r} is {number} bytes", "write e.g. '4Gi'")
    return wanted


def _template(
    spec: JobSpec, attempt: int, metadata: Json, settings: ClusterSettings, storage_url: str
) -> Json:
    pod, name = spec.pod, metadata["name"]
    sources = [_as_environment(secret.name) for secret in pod.secrets if not secret.mount_path]
    files = {secret.mount_path: {"secret": {"secretName": secret.name}} for secret in pod.secrets}
    files.pop("", None)
    if settings.storage_secret:
        sources.insert(0, _as_environment(settings.storage_secret))
    volumes, mounts = _volumes(pod.volumes | files)
    amounts = resource_amounts(spec)
    container: Json = {
        "name": CONTAINER,
        "image": pod.image,
        **_command(spec, attempt, storage_url),
        "env": _environment(spec, attempt, name, storage_url),
        "envFrom": sources,
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    template = {
        "metadata": {"labels": metadata["labels"], "annotations": metadata["annotations"]},
        "spec": _without_empty(
            {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": int(spec.grace_s),
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "serviceAccountName": pod.service_account or settings.service_account,
                "subdomain": name if ranks_meet(spec) else "",
                "nodeSelector": pod.node_selector,
                "tolerations": list(pod.tolerations),
                "affinity": pod.affinity,
                "priorityClassName": pod.priority_class,
                "imagePullSecrets": [
                    {"name": secret} for secret in pod.image_pull_secrets or settings.image_pull_secrets
                ],
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": _USER,
                    "runAsGroup": _USER,
                    "fsGroup": _USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [_without_empty(container)],
                "volumes": volumes,
            }
        ),
    }
    if pod.template is None:
        return template
    merged: Json = merge(template, pod.template)
    check_contract(template, merged)
    return merged


def _command(spec: JobSpec, attempt: int, storage_url: str) -> Json:
    if spec.trainer.kind == "container":
        return {"command": list(spec.trainer.command), "args": list(spec.trainer.args)}
    return {"command": ["python", "-m", "mltemporal.runtime", storage_url, spec.key, str(attempt)]}


def _environment(spec: JobSpec, attempt: int, name: str, storage_url: str) -> list[Json]:
    """Return the container's variables; what the user gives comes last, and wins."""
    values = {
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
        "HOME": SCRATCH,
        "MLTEMPORAL_SCRATCH": SCRATCH,
        "MLTEMPORAL_STORAGE_URL": storage_url,
        "MLTEMPORAL_JOB_KEY": spec.key,
        "MLTEMPORAL_ATTEMPT": str(attempt),
        KEEP_VARIABLE: "1",
        **thread_settings(spec.resources.cpu),
    }
    if spec.trainer.kind == "container":
        values |= {"MLTEMPORAL_DATASET": _dataset_url(spec, storage_url)}
    if spec.pod.nodes > 1:
        values |= {"WORLD_SIZE": str(spec.pod.nodes)}
    if ranks_meet(spec):
        values |= {
            "MASTER_ADDR": f"{name}-0.{name}",
            "MASTER_PORT": str(RENDEZVOUS_PORT),
            # torchrun reads its own options from PET_…: nnodes, node_rank, master_addr, master_port
            "PET_NNODES": str(spec.pod.nodes),
            "PET_MASTER_ADDR": f"{name}-0.{name}",
            "PET_MASTER_PORT": str(RENDEZVOUS_PORT),
        }
    env: list[Json] = [{"name": n, "value": v} for n, v in (values | spec.env).items()]
    if spec.pod.nodes > 1:
        index = {
            "fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
        }
        names = ("RANK", "NODE_RANK", "PET_NODE_RANK") if ranks_meet(spec) else ("RANK",)
        env += [{"name": n, "valueFrom": index} for n in names]
    return env


def _dataset_url(spec: JobSpec, storage_url: str) -> str:
    from mltemporal.storage.content import Storage

    if spec.dataset.object is not None:
        url: str = Storage(storage_url).url_of(spec.dataset.object)
        return url
    return spec.dataset.uri or ""


def _volumes(wanted: dict[str, Json]) -> tuple[list[Json], list[Json]]:
    """Return volumes and mounts: the scratch space, shared memory, and what was asked for."""
    volumes: list[Json] = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},  # the 64 MiB of most runtimes starve data loaders
    ]
    mounts: list[Json] = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108 - the container's own
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
    ]
    for number, (path, source) in enumerate(sorted(wanted.items())):
        volumes.append({"name": f"volume-{number}", **source})
        mounts.append({"name": f"volume-{number}", "mountPath": path})
    return volumes, mounts


def _as_environment(secret: str) -> Json:
    return {"secretRef": {"name": secret}}


def _without_empty(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def check_name(what: str, name: str) -> str:
    """Return ``name`` if an object of Kubernetes may have it (a DNS label, RFC 1123).

    Raises:
        InvalidRequest: it may not.
    """
    if not _DNS_LABEL.fullmatch(name):
        raise InvalidRequest(
            f"{what}={name!r} cannot name a Kubernetes object",
            "use up to 63 lower-case letters, digits and '-', a letter or digit at both ends",
        )
    return name
