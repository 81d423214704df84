"""What is looked for in a team's services in the end is found where it is; they end with who started them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from faults import team as module
from faults.kernels import HERE
from faults.sampling import Sampler
from faults.team import Pod, Team
from faults.team_services import DATABASE, NAMESPACE
from services import postgres, s3

from mltemporal.stack.process import ProcessId


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    """The services, without a stack."""
    s3.require()
    postgres.require()
    folder = Path(tempfile.mkdtemp(prefix="mltemporal-faults-", dir=Team.parent))
    world = Team(folder)
    world.services.start({})
    yield world
    world.services.stop()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GOES_WITHIN_S", 0.5)


def test_what_is_left_in_the_namespace_is_found(team: Team) -> None:
    from kubernetes.client import V1ConfigMap, V1ObjectMeta

    assert [] == team.kubernetes_left()
    team.services.place.core.create_namespaced_config_map(
        NAMESPACE, V1ConfigMap(metadata=V1ObjectMeta(name="left"))
    )
    team.services.place.create_secret("forgotten", {"key": "value"})
    assert ["secrets: forgotten", "configmaps: left"] == team.kubernetes_left()


def test_a_transaction_that_is_left_open_is_found_with_its_locks(team: Team) -> None:
    assert [] == team.locks_left()
    with psycopg.connect(team.services.postgres.url(DATABASE)) as connection:
        connection.execute("SELECT 1")
        connection.execute("CREATE TABLE left_open (number int)")
        found = team.locks_left()
    assert any("a transaction" in each and "idle in transaction" in each for each in found)
    assert any("a lock" in each and "AccessExclusiveLock" in each for each in found)


def test_an_upload_that_was_never_completed_is_found(team: Team) -> None:
    team.home.mkdir(exist_ok=True)
    assert [] == team.files_left()
    client, bucket = team.services.s3.client(), team.services.s3.bucket
    upload = client.create_multipart_upload(Bucket=bucket, Key="half")
    assert ["s3: the upload of half"] == team.files_left()
    client.abort_multipart_upload(Bucket=bucket, Key="half", UploadId=upload["UploadId"])


def pod(number: int, rank: str = "") -> Pod:
    this = ProcessId.of(os.getpid())
    assert this is not None
    return Pod(
        key="training-1", name=f"training-1-{number}-{rank}", attempt=str(number), rank=rank, training=this
    )


class Showing:
    """A world in which these pods are alive."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = pods

    def trainings(self) -> list[Pod]:
        return list(self.pods)


@pytest.mark.parametrize(
    ("pods", "together"),
    [
        ((pod(1, "0"), pod(1, "1")), False),
        ((pod(1), pod(2)), True),
        ((pod(1, "0"), pod(2, "1")), True),
        ((pod(1), pod(1)), True),
    ],
)
def test_two_pods_of_a_job_may_live_together_only_as_ranks_of_one_attempt(
    pods: tuple[Pod, ...], together: bool
) -> None:
    sampler = Sampler(Showing(*pods))  # type: ignore[arg-type]
    sampler.look()
    assert together == bool(sampler.overlaps)


STARTING = """
import time
from faults.team_services import Services
services = Services()
services.start({})
servers = (services.s3, services.postgres, services.cluster)
print(services.folder, *(server._process.pid for server in servers), flush=True)
time.sleep(600)
"""


def test_the_services_end_with_who_started_them() -> None:
    s3.require()
    postgres.require()
    path = os.pathsep.join([str(HERE.parent), str(HERE.parent.parent)])
    owner = subprocess.Popen(
        [sys.executable, "-c", STARTING],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert owner.stdout is not None
    folder, *pids = owner.stdout.readline().split()
    services = [ProcessId.of(int(pid)) for pid in pids]
    assert None not in services
    os.kill(int(pids[2]), signal.SIGSTOP)  # as by a fault in that moment
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert all(service.wait(30) for service in services)
    deadline = time.monotonic() + 30
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
