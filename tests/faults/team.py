"""A team's services: jobs are pods of a cluster, the record is in PostgreSQL, storage in an S3 server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from services.kubernetes import IMAGE, STORAGE_SECRET

from mltemporal.stack.process import ProcessId

from .team_faults import FAULTS
from .team_services import DATABASE, NAMESPACE, Services
from .world import World

GOES_WITHIN_S = 30.0
"""What ends or is collected by itself is gone so long after everybody has let go of it."""

GIVEN = (f"secrets: {STORAGE_SECRET}", "configmaps: kube-root-ca.crt")
"""What is in the namespace though no job needs it."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The process of one pod, as its command and environment tell."""

    key: str
    name: str
    """The pod's."""
    attempt: str
    rank: str
    training: ProcessId

    @property
    def place(self) -> tuple[str, str]:
        """Its attempt's number and its rank."""
        return self.attempt, self.rank


class Team(World):
    """The home of a run, and the services that others would share."""

    name = "team"
    title = "a team's services (the stand-in for Kubernetes, PostgreSQL, S3)"
    faults = FAULTS
    parent = "/var/tmp"  # what a pod calls /tmp is its own
    pace = 4.0

    def __init__(self, folder: Path, *, kernels: int = 3) -> None:
        self.services = services = Services()
        settings = {
            "MLTEMPORAL_STORAGE_URL": services.storage_url,
            "MLTEMPORAL_DATABASE_URL": services.database_url,
            "MLTEMPORAL_BACKEND": "kubernetes",
            "MLTEMPORAL_IMAGE": IMAGE,
            "MLTEMPORAL_KUBERNETES_NAMESPACE": NAMESPACE,
            "MLTEMPORAL_KUBERNETES_STORAGE_SECRET": STORAGE_SECRET,
        }
        self._own = {**services.environ(), "FAULTS_TABLE": f"s3://{services.s3.bucket}/table"}
        self._before: dict[str, str] | None = None
        super().__init__(folder, settings, self._own, kernels=kernels)

    def open(self) -> None:
        """Start the services, store the table, start the stack."""
        in_pods = {name: self.environ[name] for name in ("PYTHONPATH", "FAULTS_RUN")}
        self.services.start({**in_pods, "FAULTS_CLOCK": str(self.folder / "clock-of-jobs")})
        client = self.services.s3.client()
        for part in sorted((self.folder / "table").iterdir()):
            client.put_object(
                Bucket=self.services.s3.bucket, Key=f"table/{part.name}", Body=part.read_bytes()
            )
        self._before = dict(os.environ)
        os.environ.update(self._own)
        super().open()

    def recover(self) -> None:
        """Take back what was still to go wrong with the services."""
        self.services.heal()

    def give_back(self) -> None:
        """End the services."""
        if self._before is not None:
            os.environ.clear()
            os.environ.update(self._before)
        try:
            self.services.stop()
        finally:
            super().give_back()

    # What is looked at in the end

    @property
    def backends(self) -> tuple[str, ...]:
        """Where its jobs run; nobody asks for a local one, and none must be left."""
        return ("local", "kubernetes")

    @property
    def logs(self) -> list[Path]:
        """What explains a breach."""
        return [*super().logs, *self.services.logs()]

    def files_left(self) -> list[str]:
        """Return what no job that has ended needs: here, and what was never completed in the bucket."""
        bucket = self.services.s3.bucket
        uploads = self.services.s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return [*super().files_left(), *(f"s3: the upload of {upload['Key']}" for upload in uploads)]

    def locks_left(self) -> list[str]:
        """Return what of ours PostgreSQL still holds, now that nobody uses it."""
        return _still(self._held)

    def _held(self) -> list[str]:
        others = "datname = %s AND backend_type = 'client backend'"
        open_ones = self.services.postgres.execute(
            f"SELECT pid, state, query FROM pg_stat_activity WHERE {others} AND xact_start IS NOT NULL",
            DATABASE,
        )
        locks = self.services.postgres.execute(
            "SELECT pid, locktype, mode, coalesce(relation::text, objid::text) FROM pg_locks"
            f" JOIN pg_stat_activity USING (pid) WHERE {others}",
            DATABASE,
        )
        prepared = self.services.postgres.execute(
            "SELECT gid, prepared FROM pg_prepared_xacts WHERE database = %s", DATABASE
        )
        return [
            *(f"a transaction: {row}" for row in open_ones),
            *(f"a lock: {row}" for row in locks),
            *(f"a prepared transaction: {row}" for row in prepared),
        ]

    def kubernetes_left(self) -> list[str]:
        """Return what is in the namespace beside what an administrator has put there."""
        return _still(self._objects)

    def _objects(self) -> list[str]:
        place = self.services.place
        found = [f"{kind}: {name}" for kind, names in place.left().items() for name in names]
        others = {
            "secrets": place.core.list_namespaced_secret(NAMESPACE),
            "configmaps": place.core.list_namespaced_config_map(NAMESPACE),
        }
        found += [f"{kind}: {each.metadata.name}" for kind, listed in others.items() for each in listed.items]
        return [each for each in found if each not in GIVEN]

    # What can be hit

    @property
    def busy(self) -> bool:
        """Whether a pod runs: they take their time to start, and faults would come before all of them."""
        return bool(self.trainings())

    def trainings(self) -> list[Pod]:
        """The processes of pods that are alive."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                if words[1:4] != ["-m", "mltemporal.runtime", self.services.storage_url]:
                    continue
                if os.getsid(process.pid) != process.pid:  # a child
                    continue
                environ, training = process.environ(), ProcessId.of(process.pid)
            except (psutil.Error, ProcessLookupError):  # it has just ended
                continue
            if training is not None:
                rank = environ.get("RANK", "")
                found.append(
                    Pod(
                        key=words[4], attempt=words[5], rank=rank, name=environ["HOSTNAME"], training=training
                    )
                )
        return sorted(found, key=lambda pod: pod.name)


def _still(look: Callable[[], list[str]]) -> list[str]:
    """Look until nothing is there any more, or what is left will not go."""
    deadline = time.monotonic() + GOES_WITHIN_S
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found
