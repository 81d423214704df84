import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from mltemporal.encryption.codec import EncryptionCodec
from mltemporal.encryption.codec_server import CodecServer
from mltemporal.encryption.keyring import Keyring

UI = "http://127.0.0.1:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"what people read"')


@pytest.fixture
def server(keyring: Keyring) -> Iterator[CodecServer]:
    with CodecServer(keyring, origins=[UI]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: CodecServer, path: str, body: Any = None, method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        sent = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def sealed(keyring: Keyring) -> dict[str, Any]:
    place = WorkflowSerializationContext(namespace="default", workflow_id="training-1")
    payloads = asyncio.run(EncryptionCodec(keyring).with_context(place).encode([PLAIN]))
    return MessageToDict(Payloads(payloads=payloads))


@pytest.mark.parametrize("query", ["", "?preserveStorageRefs=true"])  # the Web UI adds the latter
def test_payloads_are_opened_for_whoever_knows_the_token(
    server: CodecServer, keyring: Keyring, query: str
) -> None:
    status, headers, body = ask(server, f"/{server.token}/decode{query}", sealed(keyring), Origin=UI)
    assert 200 == status
    assert base64.b64encode(PLAIN.data).decode() == json.loads(body)["payloads"][0]["data"]
    assert {"encoding"} == set(json.loads(body)["payloads"][0]["metadata"])
    assert UI == headers["Access-Control-Allow-Origin"]
    assert "no-store" == headers["Cache-Control"]


def test_the_token_may_be_a_bearer_token(server: CodecServer, keyring: Keyring) -> None:
    bearer = f"Bearer {server.token}"
    assert 200 == ask(server, "/decode", sealed(keyring), Authorization=bearer)[0]


@pytest.mark.parametrize("path", ["/decode", "/wrong/decode", "//decode", "/"])
def test_nobody_else_is_answered(server: CodecServer, keyring: Keyring, path: str) -> None:
    status, _, body = ask(server, path, sealed(keyring))
    assert 403 == status
    assert base64.b64encode(PLAIN.data) not in body


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:80"}]
)
def test_other_pages_are_not_answered_even_with_the_token(
    server: CodecServer, keyring: Keyring, headers: dict[str, str]
) -> None:
    status, answered, _ = ask(server, f"/{server.token}/decode", sealed(keyring), **headers)
    assert 403 == status
    assert "Access-Control-Allow-Origin" not in answered


def test_the_browser_may_ask_for_the_web_ui_only(server: CodecServer) -> None:
    for origin, status in ((UI, 204), ("http://evil.example", 403)):
        answered, headers, _ = ask(server, f"/{server.token}/decode", method="OPTIONS", Origin=origin)
        assert status == answered
        assert (origin == UI) == ("x-namespace" in headers.get("Access-Control-Allow-Headers", ""))


def test_nothing_is_sealed_by_it(server: CodecServer) -> None:
    status, _, body = ask(server, f"/{server.token}/encode", {"payloads": []})
    assert 501 == status
    assert b"belong to a workflow" in body


def test_what_cannot_be_opened_is_shown_as_it_is(server: CodecServer) -> None:
    given = MessageToDict(Payloads(payloads=[PLAIN]))
    assert given == json.loads(ask(server, f"/{server.token}/decode", given)[2])


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"payloads": 1}', b"\xff"])
def test_rubbish_is_refused(server: CodecServer, body: bytes) -> None:
    assert 400 == ask(server, f"/{server.token}/decode", body)[0]


def test_what_is_far_too_large_is_not_read(server: CodecServer) -> None:
    assert 413 == ask(server, f"/{server.token}/decode", b"", **{"Content-Length": "99999999999"})[0]


def test_it_listens_on_the_loopback_only(server: CodecServer) -> None:
    assert "127.0.0.1" == server.server_address[0]
    assert server.url.startswith("http://127.0.0.1:")


def test_each_has_a_token_of_its_own(server: CodecServer, keyring: Keyring) -> None:
    with CodecServer(keyring, origins=[UI]) as other:
        assert other.token != server.token
        assert len(other.token) > 30
