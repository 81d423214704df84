"""What the doctor looks at in a Kubernetes cluster, from where it runs."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mltemporal.errors import InvalidRequest, MLTemporalError, NotFound, ServiceUnavailable
from mltemporal.settings import ClusterSettings, Settings
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, PodOptions, TrainerRef
from mltemporal.stack.asking import within

if TYPE_CHECKING:
    from mltemporal.launchers.kubernetes.api import Api

Answer = TypeVar("Answer")
Look = Callable[[Settings], str]

_LIMITING = ("pods", "cpu", "memory", "ephemeral-storage", "count/pods", "count/jobs.batch")
"""What of a quota stops a Job's pod, beside ``requests.…`` and ``limits.…``."""


def parts(settings: Settings) -> dict[str, Look]:
    """Return what there is to look at: one line where no cluster is configured or reached."""
    if not is_configured(settings):
        return {"Kubernetes": lambda _: "not configured"}
    trouble = _trouble(settings)
    if trouble is None:
        return {
            "Kubernetes access": access,
            "Kubernetes quota": quota,
            "Kubernetes image": _image,
            "Kubernetes storage Secret": _storage_secret,
        }
    if isinstance(trouble, InvalidRequest) and settings.temporal_configured:
        return {"Kubernetes": lambda _: f"not looked at from here; only workers need it: {trouble.what}"}
    return {"Kubernetes": lambda _: _raise(trouble)}


def is_configured(settings: Settings) -> bool:
    """Whether these settings name a cluster at all."""
    return (
        settings.backend == "kubernetes"
        or settings.cluster != ClusterSettings()
        or bool(os.environ.get("KUBECONFIG") or settings.foreign.get("KUBECONFIG"))
    )


def _trouble(settings: Settings) -> MLTemporalError | None:
    """Why the cluster cannot be asked anything; None where it can."""
    from mltemporal.launchers.kubernetes.api import Forbidden

    try:
        _ask(settings, lambda api: api.get("/version"))
    except Forbidden:
        return None  # it answers
    except MLTemporalError as error:
        return error
    return None


def access(settings: Settings) -> str:
    """Whether the cluster answers, and allows what a worker does."""
    from mltemporal.launchers.kubernetes.access import VERBS, refused

    async def ask(api: Api) -> tuple[str, list[str]]:
        version = (await api.get("/version")).get("gitVersion", "of unknown version")
        return f"{version} at {api.server}, namespace {api.namespace!r}", [str(r) for r in await refused(api)]

    where, lacking = _ask(settings, ask)
    if lacking:
        raise InvalidRequest(
            f"{where}: not allowed to {', '.join(lacking)}",
            "give the Role of deploy/role.yaml to whom the workers run as; where they run in the cluster, "
            "ask there: `kubectl exec deploy/mltemporal-worker -- mltemporal doctor`",
        )
    return f"{where}: all of the {len(VERBS)} verbs that a worker uses are allowed"


def quota(settings: Settings) -> str:
    """What is left of the namespace's quotas."""
    from mltemporal.launchers.kubernetes.api import Forbidden
    from mltemporal.launchers.kubernetes.quantities import amount

    try:
        quotas = _ask(settings, lambda api: api.get(api.path("resourcequotas")))["items"]
    except Forbidden:
        return "not readable from here, which no worker needs: `kubectl describe quota`"
    told, full = [], []
    for each in quotas:
        hard, used = each.get("status", {}).get("hard", {}), each.get("status", {}).get("used", {})
        for name, limit in hard.items():
            taken = used.get(name, "0")
            told.append(f"{name} {taken} of {limit} used")
            limiting = name in _LIMITING or name.startswith(("requests.", "limits."))
            if limiting and 0 < amount(name, limit) <= amount(name, taken):
                full.append(name)
    if full:
        raise ServiceUnavailable(
            f"{', '.join(full)} used up: {', '.join(told)}", "jobs wait for room; free some, or ask for more"
        )
    return ", ".join(told) or "none"


def _image(settings: Settings) -> str:
    from mltemporal.launchers.kubernetes.launcher import KubernetesLauncher

    if not settings.image:
        return "none is set (MLTEMPORAL_IMAGE): each job names its own, train(…, image=…)"
    spec = JobSpec(
        key=f"doctor-{uuid.uuid4().hex[:8]}",
        name="doctor",
        dataset=DatasetRef(fingerprint="", rows=0, columns=(), uri=f"{settings.storage_url}/none"),
        trainer=TrainerRef(kind="baseline", label="baseline"),
        backend="kubernetes",
        pod=PodOptions(image=settings.image),
    )
    launcher = KubernetesLauncher.of(settings, owner="doctor")
    launcher.check(spec)
    where = within(lambda: launcher.rehearse(spec))
    return f"a Job of {settings.image!r} would be taken in {where}; a node pulls it with the first job"


def _storage_secret(settings: Settings) -> str:
    from mltemporal.launchers.kubernetes.api import Forbidden

    name = settings.cluster.storage_secret
    if not name:
        account = settings.cluster.service_account or "default"
        return f"none is named: jobs reach the storage by the service account {account!r} (workload identity)"

    async def look(api: Api) -> str:
        how = f"`kubectl --namespace {api.namespace} get secret {name}`"
        try:
            await api.metadata(api.path("secrets", name))
        except Forbidden:
            return f"{name!r} may not be read from here, which no worker needs: {how}"
        except NotFound:
            raise InvalidRequest(
                f"there is no Secret {name!r} in the namespace {api.namespace!r}",
                f"make it: `kubectl --namespace {api.namespace} create secret generic {name} "
                "--from-literal=AWS_ACCESS_KEY_ID=…`; see deploy/README.md",
            ) from None
        return f"{name!r} is there"

    return _ask(settings, look)


def _ask(settings: Settings, question: Callable[[Api], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        async with _opened(settings) as api:
            return await question(api)

    return within(ask)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Api]:
    from mltemporal.launchers.kubernetes.api import Api

    api = await Api.open(settings.cluster)
    try:
        yield api
    finally:
        await api.close()


def _raise(error: MLTemporalError) -> Any:
    raise error
