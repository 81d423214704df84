"""Servers and connections that misbehave on purpose: what a real S3 server does not do at will."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = Callable[[str, str, dict[str, str]], tuple[int, bytes]]
"""From method, path with query, and headers to status and body."""


def error_body(code: str, message: str = "Words of the server.") -> bytes:
    """What S3 sends with a status that is no success."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextmanager
def scripted(answer: Answer) -> Iterator[str]:
    """The URL of a server that says what ``answer`` returns."""

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
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def cutting(endpoint: str, after_bytes: int, times: int) -> Iterator[str]:
    """The URL of a way to a server on which the first ``times`` long answers end after so many bytes."""
    target = urlsplit(endpoint)
    left = [times]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname, target.port)) as server:
            threading.Thread(target=_quietly, args=(_pass_on, client, server), daemon=True).start()
            passed = 0
            while chunk := server.recv(1 << 16):
                passed += len(chunk)
                if passed > after_bytes and left[0]:
                    left[0] -= 1
                    break
                client.sendall(chunk)
            for end in (client, server):
                _quietly(end.shutdown, socket.SHUT_RDWR)  # closing alone waits for the other thread

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_quietly, args=(serve, client), daemon=True).start()

    threading.Thread(target=_quietly, args=(accept,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextmanager
def dying(endpoint: str) -> Iterator[str]:
    """The URL of a way to a server on which each writer dies between its headers and its first byte."""
    target = urlsplit(endpoint)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname, target.port)) as server:
            said = b""
            while b"\r\n\r\n" not in said and (chunk := client.recv(1 << 16)):
                said += chunk
            head, end, _ = said.partition(b"\r\n\r\n")
            server.sendall(head + end)
            server.shutdown(socket.SHUT_WR)
            while server.recv(1 << 16):  # what the server did is done before the writer's next try
                pass
            _quietly(client.shutdown, socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_quietly, args=(serve, client), daemon=True).start()

    threading.Thread(target=_quietly, args=(accept,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    while chunk := source.recv(1 << 16):
        sink.sendall(chunk)


def _quietly(work: Callable[..., object], *args: object) -> None:
    with suppress(OSError):  # either end has gone: that is what is tried here
        work(*args)
