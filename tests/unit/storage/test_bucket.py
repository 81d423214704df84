"""What only a bucket can do, or do wrong: large objects, races, many keys, threads, forks."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from services.s3 import S3Server, require
from services.s3_faults import Answer, cutting, dying, error_body

from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.specs.data import ObjectRef
from mltemporal.storage.content import Storage

LARGE = 40 << 20
"""Bytes of an object that moves in three parts."""
MIDDLING = 12 << 20
"""The same with the smallest parts that S3 allows."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    return path


@pytest.fixture
def middling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("mltemporal.storage.s3_transfer.PART_BYTES", 5 << 20)
    path = tmp_path / "middling"
    path.write_bytes(os.urandom(1 << 20) * (MIDDLING >> 20))
    return path


def uploads_left(s3: S3Server) -> list[str]:
    found = s3.client().list_multipart_uploads(Bucket=s3.bucket)
    return [upload["Key"] for upload in found.get("Uploads", [])]


def test_a_large_object_moves_in_parts_and_comes_back(remote: Storage, large: Path, s3: S3Server) -> None:
    ref = remote.put_file(large)
    assert LARGE == remote.size_of(ref)
    with remote.local_path(ref) as path:
        assert large.read_bytes() == path.read_bytes()
    assert not path.exists()
    assert large.read_bytes() == remote.get_bytes(ref)
    assert [] == uploads_left(s3)


def test_racing_writers_of_a_large_object_leave_one_and_no_parts(
    remote: Storage, middling: Path, s3: S3Server
) -> None:
    with ThreadPoolExecutor(3) as pool:
        refs = set(pool.map(lambda _: remote.put_file(middling), range(3)))
    assert 1 == len(refs)
    assert MIDDLING == remote.size_of(refs.pop())
    assert [] == uploads_left(s3)


@pytest.mark.parametrize("times", [1, 4])
def test_a_connection_that_breaks_off_costs_one_part(
    remote: Storage, middling: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    ref = remote.put_file(middling)
    with cutting(s3.endpoint, 1 << 20, times) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with remote.local_path(ref) as path:
            assert MIDDLING == path.stat().st_size


def test_a_connection_that_always_breaks_off_is_told(
    remote: Storage, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = remote.put_bytes(os.urandom(1 << 20))
    with cutting(s3.endpoint, 1 << 16, 99) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(ServiceUnavailable) as caught:
            remote.get_bytes(ref)
    assert f"storage {remote.url!r} could not read an object: the connection broke off" == caught.value.what


@pytest.fixture
def doomed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], S3Server]:
    """A server of the test's own, which it may kill."""
    require()
    server = S3Server(tmp_path / "doomed").start()
    for name, value in server.environ().items():
        monkeypatch.setenv(name, value)
    yield server
    server.kill()


@pytest.mark.usefixtures("impatient")
def test_a_server_killed_in_the_middle_is_told_and_nothing_half_is_left(
    doomed: S3Server, middling: Path
) -> None:
    storage = Storage("s3://data/prefix")
    ref = storage.put_file(middling)

    def repeat(work: Callable[[], object]) -> None:
        while True:
            work()

    def work_until_it_dies(work: Callable[[], object]) -> str:
        killer = threading.Timer(0.2, doomed.kill)
        killer.start()
        with pytest.raises(ServiceUnavailable) as caught:
            repeat(work)
        killer.join()
        doomed.start()
        return caught.value.what

    def download() -> None:
        with storage.local_path(ref):
            pass

    for work in (lambda: storage.put_bytes(os.urandom(1 << 20) + bytes(MIDDLING)), download):
        told = work_until_it_dies(work)
        assert re.search(r"the server \S+ cannot be reached|the connection broke off", told)
        download()
    again = storage.put_bytes(bytes(MIDDLING))
    assert bytes(MIDDLING) == storage.get_bytes(again)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_answering_is_told(doomed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltemporal.storage.s3._READ_TIMEOUT_S", 1)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # another environment: it connects anew
    storage = Storage("s3://data/prefix")
    storage.check()
    doomed.signal(signal.SIGSTOP)
    try:
        with pytest.raises(ServiceUnavailable) as caught:
            storage.check()
    finally:
        doomed.signal(signal.SIGCONT)
    assert (
        f"storage 's3://data/prefix' could not look for a probe: the server {doomed.endpoint} does not answer"
    ) == caught.value.what


@pytest.mark.usefixtures("impatient")
def test_a_patient_storage_waits_for_a_server_that_comes_back(
    doomed: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage("s3://data/prefix", patience_s=60)
    ref = storage.put_bytes(b"before")
    doomed.kill()
    back = threading.Timer(2, doomed.start)
    back.start()
    assert b"before" == storage.get_bytes(ref)
    back.join()
    assert "storage s3://data: the server " in caplog.messages[0]
    assert caplog.messages[0].endswith(" cannot be reached; trying again in 1 s")


def test_patience_does_not_wait_for_what_will_not_pass(s3_url: str) -> None:
    with pytest.raises(InvalidRequest, match="there is no such bucket"):
        Storage("s3://no-such-bucket", patience_s=600).put_bytes(b"data")


def test_a_server_without_conditional_creates_is_served_as_well(
    answering: Callable[[Answer], Storage],
) -> None:
    asked: list[tuple[str, bool]] = []
    stored: dict[str, bytes] = {}

    def answer(method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        conditional = "If-None-Match" in headers
        asked.append((method, conditional))
        if conditional:
            return 501, error_body("NotImplemented")
        if method == "PUT":
            stored[path] = b"data"
            return 200, b""
        return (200, stored[path]) if path in stored else (404, error_body("NoSuchKey"))

    storage = answering(answer)
    ref = storage.put_bytes(b"data")
    assert [("HEAD", False), ("PUT", True), ("PUT", False), ("HEAD", False)] == asked
    assert b"data" == storage.get_bytes(ref)


def test_an_upload_that_failed_in_silence_is_noticed(answering: Callable[[Answer], Storage]) -> None:
    storage = answering(lambda method, *_: (200, b"") if method == "PUT" else (404, error_body("NoSuchKey")))
    with pytest.raises(ServiceUnavailable) as caught:
        storage.put_bytes(b"data")
    assert (
        "storage 's3://data/prefix' could not write an object: "
        "the server took the bytes and does not have them\n"
        "Next step: check the server's log and disk"
    ) == str(caught.value)


def test_the_notes_of_one_job_go_together_over_several_pages(
    remote: Storage, monkeypatch: pytest.MonkeyPatch, files: Callable[[Storage], list[str]]
) -> None:
    monkeypatch.setattr("mltemporal.storage.s3_listing.PAGE_KEYS", 3)
    for i in range(7):
        remote.put_note("training-1", f"{i}/output", i)
    remote.put_note("training-10", "spec", 10)
    remote.discard_notes("training-1")
    assert ["jobs/training-10/spec.json"] == files(remote)


def test_many_threads_share_one_connection(remote: Storage) -> None:
    from mltemporal.storage import s3

    remote.check()
    before = dict(s3._connections)
    with ThreadPoolExecutor(32) as pool:
        refs = list(pool.map(lambda i: remote.put_bytes(b"%d" % i), range(64)))
    assert [b"%d" % i for i in range(64)] == [remote.get_bytes(ref) for ref in refs]
    assert before == s3._connections


def test_a_fork_connects_by_itself(remote: Storage) -> None:
    """In a process of its own, since forking one with threads is warned of."""
    program = (
        "import os, sys\n"
        "from mltemporal.storage.content import Storage\n"
        "storage = Storage(sys.argv[1])\n"
        "ref = storage.put_bytes(b'of the parent')\n"
        "if child := os.fork():\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    print(status, storage.get_bytes(ref))\n"
        "else:\n"
        "    os._exit(0 if storage.get_bytes(ref) == b'of the parent' else 1)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, remote.url], capture_output=True, text=True, check=False
    )
    assert ("0 b'of the parent'\n", "") == (result.stdout, result.stderr)


def test_a_local_storage_loads_no_s3_library(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from mltemporal.storage.content import Storage\n"
        "import mltemporal.dataset.loading\n"
        "Storage('s3://bucket/prefix')\n"
        "Storage(sys.argv[1]).put_bytes(b'data')\n"
        "print([name for name in ('s3fs', 'botocore', 'aiohttp', 'fsspec') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "[]\n" == result.stdout


def test_the_memory_of_a_transfer_is_bounded(remote: Storage, tmp_path: Path) -> None:
    """No part is held as a whole, neither on its way up nor down."""
    path = tmp_path / "object"
    path.write_bytes(bytes(112 << 20))
    remote.put_bytes(b"connected")
    tracemalloc.start()
    try:
        ref = remote.put_file(path)
        with remote.local_path(ref):
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ObjectRef(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size_bytes=112 << 20) == ref
    assert peak < 32 << 20


def test_a_note_whose_writer_dies_before_its_first_byte_stays_as_it_was(
    remote: Storage, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.put_note("training-1", "spec", {"step": 1})
    with dying(s3.endpoint) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way)
        for name in ("spec", "never-written"):
            with pytest.raises(ServiceUnavailable):
                remote.put_note("training-1", name, {"step": 2})
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    assert {"step": 1} == remote.get_note("training-1", "spec", dict)
    assert remote.get_note("training-1", "never-written", dict) is None
