"""The services that a team shares: a cluster, an S3 server and PostgreSQL, each behind a way that can be cut.

All of them are processes of their own, and gone when this one is killed.
"""

from __future__ import annotations

import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

from services.kubernetes import IMAGE, STORAGE_SECRET, STORAGE_VARIABLES, Place
from services.postgres import PostgresServer, binaries
from services.s3 import S3Server

from mltemporal.testing.cluster.sessions import Watchdog

from .cluster_process import ClusterProcess
from .relay import Relay

NAMESPACE = "faults"
DATABASE = "faults"
NODES = ("first", "second")
PODS = 3
"""So many run on a node; the others wait."""


class Services:
    """They run between `start` and `stop`; where they will be is known before."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mltemporal-services-"))
        self.folder.chmod(0o755)  # PostgreSQL's user has to get through
        self.s3 = S3Server(self.folder / "s3")
        self._postgres_folder = self.folder / "postgres"
        self._postgres_folder.mkdir()
        programs = binaries()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed (Debian's package: postgresql)")
        self.postgres = PostgresServer(programs, self._postgres_folder)
        self.cluster = ClusterProcess(self.folder / "cluster")
        self.to_s3 = Relay(int(self.s3.endpoint.rpartition(":")[2]))
        self.to_postgres = Relay(self.postgres.port)
        self.storage_url = f"s3://{self.s3.bucket}/{uuid.uuid4().hex}"
        self.place: Place
        self._watchdog: Watchdog
        self._ends = ExitStack()

    @property
    def database_url(self) -> str:
        """Of the record, by the way that can be cut."""
        return self.postgres.url(DATABASE).replace(f":{self.postgres.port}/", f":{self.to_postgres.port}/")

    def environ(self) -> dict[str, str]:
        """By what S3 and Kubernetes clients find theirs; S3 by the way that can be cut."""
        return {
            **self.s3.environ(),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.to_s3.port}",
            "KUBECONFIG": str(self.cluster.kubeconfig),
        }

    def start(self, image_env: dict[str, str]) -> None:
        """Start them all; ``image_env`` is what every pod finds in its environment."""
        from kubernetes.config import new_client_from_config

        self._watchdog = Watchdog(str(self.folder))
        self._ends.callback(self._watchdog.close)
        for way in (self.to_s3, self.to_postgres):
            self._ends.callback(way.close)
        self.postgres.initialise()
        self.start_postgres()
        self._ends.callback(self.postgres.stop)
        self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        self.start_s3()
        self._ends.callback(self.s3.kill)
        self._watchdog.started(self.cluster.start([IMAGE], image_env))
        self._ends.callback(self.cluster.stop)
        self.cluster.call("remove_node", "node-1")
        for node in NODES:
            self.add_node(node)
        self.cluster.call("create_namespace", NAMESPACE, {"pod-security.kubernetes.io/enforce": "restricted"})
        keys = self.environ()
        secret = {name: keys[name] for name in STORAGE_VARIABLES}
        self.cluster.call("create_secret", STORAGE_SECRET, secret, NAMESPACE)
        kubeconfig = str(self.cluster.kubeconfig)
        client = new_client_from_config(config_file=kubeconfig)
        self._ends.callback(client.close)
        self.place = Place(kubeconfig, NAMESPACE, IMAGE, self.storage_url, False, client)

    def start_s3(self) -> None:
        """Start the S3 server, or start it again."""
        self.s3.start()
        self._guard(self.s3)

    def start_postgres(self) -> None:
        """Start PostgreSQL, or start it again."""
        self.postgres.start()
        self._guard(self.postgres)

    def add_node(self, name: str) -> None:
        """Give the cluster a node."""
        self.cluster.call("add_node", name, cpu=64, memory="256Gi", pods=PODS)

    def way(self, service: str) -> Relay:
        """The way to ``s3`` or ``postgres``."""
        return {"s3": self.to_s3, "postgres": self.to_postgres}[service]

    def heal(self) -> None:
        """Take back what was still to go wrong."""
        self.cluster.call("heal")
        self.to_s3.restore()
        self.to_postgres.restore()

    def logs(self) -> list[Path]:
        """What each of them has said."""
        return [self.folder / name / "log" for name in ("s3", "postgres", "cluster")]

    def stop(self) -> None:
        """End them all, and remove what they kept. Idempotent.

        Raises:
            RuntimeError: the stand-in cluster itself has failed.
        """
        self._ends.close()

    def _guard(self, server: S3Server | PostgresServer) -> None:
        assert server._process is not None
        self._watchdog.started(server._process.pid)
