"""Both kinds of store, and what a test does behind their back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from services.s3_faults import Answer, scripted

from mltemporal.storage.content import Storage


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
    """A storage on a server that says what a function makes it say."""
    with ExitStack() as servers:

        def start(answer: Answer) -> Storage:
            monkeypatch.setenv("AWS_ENDPOINT_URL", servers.enter_context(scripted(answer)))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ADMINKEY")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "admin-secret")
            return Storage("s3://data/prefix")

        yield start


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections try a thing twice only."""
    monkeypatch.setattr("mltemporal.storage.s3._ATTEMPTS", 2)
