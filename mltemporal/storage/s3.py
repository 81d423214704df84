"""The one connection to S3 that storage and datasets share, through s3fs.

Server, region and keys are found by botocore's ordinary chain (``AWS_*`` variables, profiles, a
pod's role); a server of one's own is named by ``AWS_ENDPOINT_URL`` and addressed by path.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mltemporal.errors import ServiceUnavailable
from mltemporal.storage.places import PlaceError
from mltemporal.storage.s3_errors import plainly

T = TypeVar("T")

_ATTEMPTS = 4
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 15
_CONNECTIONS = 32

_lock = threading.Lock()
_connections: dict[int, Any] = {}
_of_the_parent: list[dict[int, Any]] = []


def call(work: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> T:
    """Run ``work(s3, *args, **options)`` on the event loop of s3fs and return what it returns.

    ``s3(operation, **parameters)`` is a coroutine function that does one S3 operation, such as
    ``get_object``, with retries. Blocks; from any thread but the loop's own.

    Raises:
        FileNotFoundError: there is no object of that key.
        PlaceError: S3 refused or did not answer, and why.
        ServiceUnavailable: s3fs is not installed.
    """
    try:
        with plainly():
            s3fs = _connection()
            from fsspec.asyn import sync

            return sync(s3fs.loop, work, s3fs._call_s3, *args, **options)  # type: ignore[no-any-return]  # noqa: SLF001
    except PlaceError:
        _forget()
        raise


def _connection() -> Any:
    """Return the s3fs file system for this process's environment as it is now."""
    key = _environment()
    with _lock:
        if key not in _connections:
            _connections[key] = _connect()
        return _connections[key]


def _forget() -> None:
    """Connect anew next time: the keys, the profile or the token may have been renewed."""
    with _lock:
        _connections.pop(_environment(), None)


def _environment() -> int:
    # Another environment has other keys or another server: a notebook may set either at any time.
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith("AWS_")))


def _start_anew() -> None:
    """Leave the parent's connections alone in a fork: their event loop did not come along."""
    global _lock, _connections
    _of_the_parent.append(_connections)
    _lock, _connections = threading.Lock(), {}


os.register_at_fork(after_in_child=_start_anew)


def _connect() -> Any:
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise ServiceUnavailable(
            f"S3 needs a package that is not installed: {error}", "pip install 'mltemporal[s3]'"
        ) from error
    options = {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "read_timeout": _READ_TIMEOUT_S,
        "max_pool_connections": _CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
    }
    # What is read is verified by its SHA-256; without S3's newer checksums more servers are served.
    for option in ("request_checksum_calculation", "response_checksum_validation"):
        if f"AWS_{option.upper()}" not in os.environ:
            options[option] = "when_required"
    region = os.environ.get("AWS_REGION")  # botocore itself knows AWS_DEFAULT_REGION only
    s3fs = S3FileSystem(
        skip_instance_cache=True,  # its own cache would give every thread a connection
        use_listings_cache=False,  # others write too
        config_kwargs=options,
        client_kwargs={"region_name": region} if region else {},
    )
    s3fs.retries = 1  # botocore's retries are enough: the two kinds would multiply
    try:
        s3fs.connect()
    except ValueError as error:
        if "endpoint" in str(error).lower():
            raise PlaceError(
                "AWS_ENDPOINT_URL is no URL of a server", "set it to a URL such as https://s3.example.com"
            ) from error
        raise
    return s3fs
