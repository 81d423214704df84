"""What the monitor looks at beside what the doctor does: disks, versions, backlog, restarts."""

import os
import platform
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.workers import WorkerInfo
from mltemporal.deployments.build import build_id
from mltemporal.errors import StackError
from mltemporal.monitoring import checks
from mltemporal.monitoring.backlog import Waiting, judged
from mltemporal.monitoring.looking import Finding
from mltemporal.settings import Settings, load_settings
from mltemporal.specs.health import HealthState
from mltemporal.stack import doctor_temporal
from mltemporal.stack.home import StackFiles
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import ServiceState, StackState, write_state
from mltemporal.version import __version__

GIB = 1024**3


@pytest.fixture
def settings(tmp_path: Path, url: str, monkeypatch) -> Settings:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return load_settings({"MLTEMPORAL_HOME": str(tmp_path), "MLTEMPORAL_DATABASE_URL": url})


def test_kubernetes_is_looked_at_where_it_is_configured(settings: Settings) -> None:
    assert not [part for part in checks.looks(settings) if part.startswith("Kubernetes")]
    parts = checks.looks(replace(settings, backend="kubernetes"))
    assert {"Kubernetes access", "Kubernetes quota"} <= set(parts)


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [
        (50 * GIB, 100 * GIB, HealthState.OK),
        (9 * GIB, 100 * GIB, HealthState.WARNING),
        (4 * GIB, 100 * GIB, HealthState.PROBLEM),
        (GIB - 1, 2 * GIB, HealthState.PROBLEM),
    ],
)
def test_a_disk_that_fills_up_is_seen(settings, monkeypatch, free: int, total: int, state) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=total))
    found = checks.disk(settings)
    assert state == (found.state if isinstance(found, Finding) else HealthState.OK)
    detail = found.detail if isinstance(found, Finding) else found
    assert f"{free / GIB:.1f} GiB" in detail
    assert "free for home, storage, database at" in detail, "one disk is told once"


def test_a_place_that_does_not_exist_yet_is_on_the_disk_of_its_parent(settings, tmp_path: Path) -> None:
    found = checks.disk(replace(settings, home=tmp_path / "a" / "b", storage_url="s3://bucket/x"))
    assert f"{str(tmp_path)!r}" in (found.detail if isinstance(found, Finding) else found)


def worker(number: int, version: str) -> WorkerInfo:
    return WorkerInfo(
        id=f"w{number}",
        host="here",
        pid=number,
        version=version,
        python="python",
        task_queue="q",
        started_at=time.time(),
        seen_at=time.time(),
    )


def test_workers_of_different_versions_are_a_warning(settings, database: Database, monkeypatch) -> None:
    monkeypatch.setattr(doctor_temporal, "worker", lambda _: "1@here for local jobs")
    unseen = checks.workers(settings)
    assert (HealthState.WARNING, True) == (unseen.state, "none has said" in unseen.detail)
    for number in (1, 2):
        database.workers.seen(worker(number, "1.0"))
    assert "2 of version 1.0; 1@here for local jobs" == checks.workers(settings)
    database.workers.seen(worker(3, "2.0"))
    mixed = checks.workers(settings)
    assert HealthState.WARNING is mixed.state
    assert mixed.detail.startswith("3 workers of different versions: 1.0, 2.0; ")


def test_a_backlog_that_nobody_serves_is_a_problem_and_an_old_one_a_warning() -> None:
    quiet = Waiting(queue="a", tasks=0, oldest_s=0.0, served=False)
    young = Waiting(queue="b", tasks=3, oldest_s=5.0, served=True)
    assert "nothing waits on 'a'" == judged([quiet])
    assert "3 wait on 'b', the oldest for 5 s" == judged([quiet, young])
    old = judged([young, replace(young, queue="c", oldest_s=61.0)])
    assert HealthState.WARNING is old.state
    unserved = judged([young, replace(young, queue="d", served=False)])
    assert HealthState.PROBLEM is unserved.state
    assert "3 wait on 'd', the oldest for 5 s, and nobody takes them" in unserved.detail


def runs(settings: Settings) -> None:
    """Have a stack that was restarted be recorded, with this process as its worker."""
    me = ProcessId.of(os.getpid())
    StackFiles(settings.home).folder.mkdir()
    running = StackState(
        home=str(settings.home),
        supervisor=me,
        version=__version__,
        build=build_id(),
        python="python",
        host=platform.node(),
        started_at=time.time(),
        temporal_address="127.0.0.1:1",
        services={
            "worker": ServiceState(state="running", process=me, restarts=2, trouble="was killed by SIGKILL")
        },
    )
    write_state(StackFiles(settings.home).state, running)


def test_a_worker_that_is_just_being_started_is_no_problem_yet(settings, database, monkeypatch) -> None:
    def none_yet(_: Settings) -> str:
        raise StackError("none for local jobs")

    monkeypatch.setattr(doctor_temporal, "worker", none_yet)
    runs(settings)
    monkeypatch.setattr(checks, "_STARTS_WITHIN_S", 1e9)
    assert "it is just being started" == checks.workers(settings).detail
    monkeypatch.setattr(checks, "_STARTS_WITHIN_S", 0.0)
    with pytest.raises(StackError, match="none for local jobs"):
        checks.workers(settings)


def test_a_process_of_the_stack_that_was_started_again_lately_is_a_warning(settings, monkeypatch) -> None:
    runs(settings)
    monkeypatch.setattr(checks, "LATELY_S", 1e9)
    lately = checks.stack(settings)
    assert HealthState.WARNING is lately.state
    assert "s ago: it was killed by SIGKILL" in lately.detail
    monkeypatch.setattr(checks, "LATELY_S", 0.0)
    assert checks.stack(settings).endswith("worker started again 2 times")
