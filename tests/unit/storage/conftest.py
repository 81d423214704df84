"""Both kinds of store, the real S3 server, and servers and connections that misbehave on purpose."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mltemporal.storage import Storage

Answer = Callable[[str, str, dict[str, str]], tuple[int, bytes]]


@pytest.fixture(params=["directory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A directory, and a prefix in a bucket of a real server."""
    if request.param == "directory":
        return Storage(str(tmp_path / "storage"))
    return Storage(f"{request.getfixturevalue('s3_url')}/")


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def remote(s3_url: str) -> Storage:
    return Storage(s3_url)


@pytest.fixture
def files(request: pytest.FixtureRequest) -> Callable[[Storage], list[str]]:
    """Every file or object of a store, relative to its root."""

    def listed(storage: Storage) -> list[str]:
        if storage.url.startswith("s3://"):
            bucket, _, prefix = storage.url.rstrip("/").removeprefix("s3://").partition("/")
            client = request.getfixturevalue("s3").client()
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
            found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            return [key.removeprefix(f"{prefix}/") for key in found]
        root = Path(storage.url)
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    return listed


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> Callable[[Storage, str, bytes], None]:
    """Put other bytes in an object's or a note's place, behind the storage's back."""

    def put(storage: Storage, name: str, data: bytes) -> None:
        url = f"{storage.url.rstrip('/')}/{name}"
        if url.startswith("s3://"):
            bucket, _, key = url.removeprefix("s3://").partition("/")
            request.getfixturevalue("s3").client().put_object(Bucket=bucket, Key=key, Body=data)
        else:
            Path(url).write_bytes(data)

    return put


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Storage]]:
    """A storage on a server that answers what a function of method, path and headers returns."""
    servers = []

    def start(answer: Answer) -> Storage:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = answer(self.command, self.path, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"etag"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ADMINKEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "admin-secret")
        return Storage("s3://data/prefix")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def error(code: str, message: str = "Words of the server.") -> bytes:
    """What S3 sends with a status that is no success."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextmanager
def cutting(endpoint: str, after_bytes: int, times: int) -> Iterator[str]:
    """A way to a server on which the first ``times`` long answers end after so many bytes."""
    target = urlsplit(endpoint)
    left = [times]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname, target.port)) as server:
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            passed = 0
            while chunk := server.recv(1 << 16):
                passed += len(chunk)
                if passed > after_bytes and left[0]:
                    left[0] -= 1
                    return
                client.sendall(chunk)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(serve, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    _quietly(lambda: [sink.sendall(chunk) for chunk in iter(lambda: source.recv(1 << 16), b"")])


def _quietly(work: Callable[..., object], *args: object) -> None:
    with suppress(OSError):  # either end has gone: that is what is tried here
        work(*args)
