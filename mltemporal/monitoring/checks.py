"""What the monitor looks at; where the doctor looks at the same, it is the doctor's look."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from mltemporal.errors import StackError
from mltemporal.monitoring.backlog import backlog
from mltemporal.monitoring.looking import Finding, Look, Looker
from mltemporal.settings import Settings
from mltemporal.specs.health import HealthState
from mltemporal.stack import doctor, doctor_cluster, doctor_temporal
from mltemporal.stack.control import state
from mltemporal.stack.process import ProcessId

LATELY_S = 300.0
"""So long after its restart a process of the stack is a warning."""

_STARTS_WITHIN_S = 10.0
_LEAST_BYTES = 1024**3
_LEAST_SHARE, _LITTLE_SHARE = 0.05, 0.10


def looker(settings: Settings) -> Looker:
    """Return what looks at every part that jobs of these settings need; asks nobody yet."""
    return Looker(settings, looks(settings))


def looks(settings: Settings) -> dict[str, Look]:
    """Return the look at each part, by its name; those at a cluster where one is configured."""
    every: dict[str, Look] = {
        "Temporal": doctor_temporal.temporal,
        "workers": workers,
        "task queues": backlog,
        "database": doctor.database,
        "storage": doctor.storage,
        "disk": disk,
        "stack": stack,
    }
    if doctor_cluster.is_configured(settings):
        every |= {"Kubernetes access": doctor_cluster.access, "Kubernetes quota": doctor_cluster.quota}
    return every


def workers(settings: Settings) -> str | Finding:
    """Who polls the task queues, and whether all run one version.

    Raises:
        StackError: nobody polls that of the settings' backend.
    """
    from mltemporal.database.engine import Database

    try:
        polling = doctor_temporal.worker(settings)
    except StackError:
        running = state(settings)
        service = running.services.get("worker") if running else None
        if service is not None and service.process is not None and _age_s(service.process) < _STARTS_WITHIN_S:
            return Finding(HealthState.WARNING, "it is just being started", "look again in some seconds")
        raise
    database = Database.open(settings.database_url)
    try:
        alive = database.workers.alive()
    finally:
        database.close()
    versions = sorted({worker.version for worker in alive})
    count = len({(worker.host, worker.pid) for worker in alive})
    if len(versions) > 1:
        return Finding(
            HealthState.WARNING,
            f"{count} workers of different versions: {', '.join(versions)}; {polling}",
            "fine while a new version is rolled out; afterwards stop the old ones: `mltemporal status`",
        )
    if not alive:
        return Finding(
            HealthState.WARNING,
            f"none has said in the database that it is alive; {polling}",
            "do the workers use this database? compare `mltemporal status` there",
        )
    return f"{count} of version {versions[0]}; {polling}"


def disk(settings: Settings) -> str | Finding:
    """Free space of home, storage and database, as far as they are on disks of this machine."""
    told, worst, wanting = [], HealthState.OK, []
    for name, place in _by_disk(settings).items():
        usage = shutil.disk_usage(place)
        share = usage.free / usage.total if usage.total else 0.0
        told.append(f"{usage.free / 1024**3:.1f} GiB ({100 * share:.0f} %) free for {name} at {str(place)!r}")
        if share < _LEAST_SHARE or usage.free < _LEAST_BYTES:
            worst = HealthState.PROBLEM
            wanting.append(name)
        elif share < _LITTLE_SHARE:
            worst = HealthState.WARNING if worst is HealthState.OK else worst
            wanting.append(name)
    if worst is HealthState.OK:
        return "; ".join(told)
    return Finding(worst, "; ".join(told), f"free some space for {' and '.join(wanting)}")


def _by_disk(settings: Settings) -> dict[str, Path]:
    """Return a place on each disk, named by what lies there."""
    places = {"home": settings.home}
    if "://" not in settings.storage_url:
        places["storage"] = Path(settings.storage_url)
    if settings.database_url.startswith("sqlite:///") and ":memory:" not in settings.database_url:
        places["database"] = Path(settings.database_url.removeprefix("sqlite:///")).parent
    disks: dict[int, tuple[list[str], Path]] = {}
    for name, wanted in places.items():
        place = next(each for each in (wanted, *wanted.parents) if each.exists())
        names, _ = disks.setdefault(place.stat().st_dev, ([], place))
        names.append(name)
    return {", ".join(names): place for names, place in disks.values()}


def stack(settings: Settings) -> str | Finding:
    """The stack's processes: what runs, and what was started again lately.

    Raises:
        StackError: one does not run.
        VersionMismatch: another version of mltemporal started them.
    """
    well = doctor.stack(settings)
    running = state(settings)
    told, lately = [], []
    for name, service in (running.services if running else {}).items():
        if service.restarts:
            told.append(f"{name} started again {service.restarts} time{'s' * (service.restarts > 1)}")
        age_s = _age_s(service.process) if service.process is not None else 0.0
        if service.restarts and age_s < LATELY_S:
            lately.append(f"its {name} was started again {age_s:.0f} s ago: it {service.trouble}")
    detail = "; ".join([well, *told])
    if not lately:
        return detail
    return Finding(
        HealthState.WARNING,
        "; ".join([*lately, detail]),
        f"if this goes on, look into the logs in {str(settings.home / 'stack')!r}",
    )


def _age_s(process: ProcessId) -> float:
    import psutil

    try:
        return max(0.0, time.time() - float(psutil.Process(process.pid).create_time()))
    except psutil.NoSuchProcess:
        return 0.0  # it ended in this moment
