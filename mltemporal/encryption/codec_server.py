"""Opens sealed payloads for Temporal's Web UI and CLI, on this machine, for whoever knows its token.

Temporal's protocol of remote codecs: ``POST /decode`` with ``{"payloads": […]}`` in protobuf's JSON gives
the same with each payload opened. A request says neither workflow nor run; but a sealed payload names its
own, authenticated, and here it is only shown. ``/encode`` is refused: what is sealed is sealed to a
workflow, and what the Web UI sends to one would be.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Collection
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from mltemporal.encryption.keyring import Keyring
from mltemporal.encryption.sealing import PURPOSE, Refused, UnknownKey, unseal

LOOPBACK = "127.0.0.1"
_LARGEST = 16 * 1024**2
"""A page of the Web UI's; in bytes."""
_HEADERS = "authorization, content-type, x-namespace"


class CodecServer(ThreadingHTTPServer):
    """The server; listens once it is made. ``url`` is what is pasted into the Web UI, and a secret."""

    daemon_threads = True

    def __init__(self, keyring: Keyring, *, origins: Collection[str], port: int = 0) -> None:
        """Listen on 127.0.0.1.

        Args:
            keyring: the keys.
            origins: the pages that may ask from a browser: ``http://127.0.0.1:8233``.
            port: 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        self.keyring = keyring
        self.origins = frozenset(origins)
        self.token = secrets.token_urlsafe(24)
        super().__init__((LOOPBACK, port), _Answers)

    @property
    def url(self) -> str:
        """The endpoint, with the token."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}"


class _Answers(BaseHTTPRequestHandler):
    server: CodecServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mltemporal", ""
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: an address holds the token."""

    def do_OPTIONS(self) -> None:
        """Let the Web UI's page ask, and no other page."""
        self._answer(HTTPStatus.NO_CONTENT if self._allowed_origin() else HTTPStatus.FORBIDDEN)

    def do_POST(self) -> None:
        """Open payloads."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path  # the Web UI adds a query
        token, _, what = path.strip("/").rpartition("/")
        if why := self._why_not(token):
            self._answer(HTTPStatus.FORBIDDEN, {"message": why})
        elif what == "decode":
            self._decode(body)
        elif what == "encode":
            why = "sealed payloads belong to a workflow: start and command jobs with mltemporal"
            self._answer(HTTPStatus.NOT_IMPLEMENTED, {"message": why})
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def _decode(self, body: bytes) -> None:
        try:
            given = ParseDict(json.loads(body), Payloads())
        except (ParseError, ValueError):
            self._answer(HTTPStatus.BAD_REQUEST, {"message": "this is no list of payloads"})
            return
        opened = Payloads(payloads=[_opened(payload, self.server.keyring) for payload in given.payloads])
        self._answer(HTTPStatus.OK, MessageToDict(opened))

    def _why_not(self, token: str) -> str:
        """Return why nothing is opened for this request, or nothing."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (LOOPBACK, "localhost"):  # a name of somebody's that leads here
            return "this server answers to 127.0.0.1 only"
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        known = self.server.token.encode()
        if not any(hmac.compare_digest(given.encode(), known) for given in (token, bearer)):
            return "the token is wrong"
        if "Origin" in self.headers and not self._allowed_origin():
            return "this page may not ask"
        return ""

    def _allowed_origin(self) -> str:
        origin = str(self.headers.get("Origin", ""))
        return origin if origin in self.server.origins else ""

    def _answer(self, status: HTTPStatus, content: object = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if origin := self._allowed_origin():
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Methods", "POST, OPTIONS")
            self.send_header("Access-Control-Allow-Headers", _HEADERS)
            self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Vary", "Origin")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _opened(payload: Payload, keyring: Keyring) -> Payload:
    """Return the payload opened; one that cannot be is shown as it is."""
    try:
        opened = unseal(payload, keyring)
    except (Refused, UnknownKey):
        return payload
    opened.metadata.pop(PURPOSE, None)
    return opened
