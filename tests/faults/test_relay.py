"""A way to a server passes everything on, until something is to go wrong on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from faults.relay import Relay


@pytest.fixture
def relay() -> Iterator[Relay]:
    """The way to a server that says what it hears ten times."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client:
            while heard := client.recv(1 << 16):
                client.sendall(heard * 10)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # the test is over
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    way = Relay(listener.getsockname()[1])
    yield way
    way.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def asked(client: socket.socket, size: int) -> int:
    """How many bytes of the answer to so many come before the connection ends."""
    try:
        client.sendall(b"x" * size)
        got = 0
        while got < 10 * size and (chunk := client.recv(1 << 16)):
            got += len(chunk)
    except ConnectionError:
        return -1
    return got


def to(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=20)


def test_everything_is_passed_on(relay: Relay) -> None:
    with to(relay) as client:
        assert 10 * 300_000 == asked(client, 300_000)
        assert 10 == asked(client, 1)


def test_what_is_cut_ends_and_comes_back(relay: Relay) -> None:
    with to(relay) as client:
        assert 10 == asked(client, 1)
        relay.cut()
        assert asked(client, 1) < 10
    with to(relay) as client:
        assert asked(client, 1) < 10
    relay.restore()
    with to(relay) as client:
        assert 10 == asked(client, 1)


def test_what_is_held_goes_on(relay: Relay) -> None:
    with to(relay) as client:
        assert 10 == asked(client, 1)
        relay.hold()
        client.sendall(b"x")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        relay.restore()
        assert b"x" == client.recv(1)


def test_so_many_answers_break(relay: Relay) -> None:
    relay.break_answers(1, 5_000)
    with to(relay) as first, to(relay) as second:
        assert 100 == asked(first, 10), "a short one is whole"
        assert asked(first, 10_000) < 100_000
        assert 100_000 == asked(second, 10_000)
