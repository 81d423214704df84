"""A client of the Temporal in use: the embedded server, or the one that the user configured."""

from __future__ import annotations

import asyncio
import atexit
import functools
import time
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidRequest, StackError
from mltemporal.settings import Settings
from mltemporal.stack.control import state

if TYPE_CHECKING:
    from temporalio.client import Client

_DEFAULT_TARGET = "localhost:7233"
_RESTART_S = 30.0
"""How long a server may take to come back."""


async def connect(settings: Settings) -> Client:
    """Return a connected client; it belongs to the running event loop.

    While the embedded server is started (again), waits up to 30 s for it.

    Raises:
        StackError: no embedded stack runs, or Temporal does not answer.
        InvalidRequest: Temporal's configuration (``temporal.toml``, ``TEMPORAL_*``) cannot be read, or
            the keys of its encryption cannot.
    """
    _wait_at_exit()
    if settings.temporal_configured:
        return await _connect_configured(settings)
    deadline = time.monotonic() + _RESTART_S
    pause_s = 0.05
    while True:
        running = state(settings)
        if running is None:
            raise StackError(
                f"no stack runs in the home {str(settings.home)!r}",
                "run `mltemporal up`, or `%load_ext mltemporal` in a notebook",
            )
        try:
            where = {"target_host": running.temporal_address, "namespace": running.namespace}
            return await _connect(where, settings)
        except RuntimeError as error:  # what the SDK raises when nobody answers
            if time.monotonic() > deadline:
                raise StackError(
                    f"Temporal at {running.temporal_address!r} does not answer", "run `mltemporal doctor`"
                ) from error
        await asyncio.sleep(pause_s)
        pause_s = min(1.0, pause_s * 2)


def configured_target() -> tuple[str, str]:
    """Return address and namespace of the configured Temporal.

    Raises:
        InvalidRequest: the configuration cannot be read.
    """
    config = _configuration()
    return config.get("target_host", _DEFAULT_TARGET), config.get("namespace", "default")


def cloud_web_ui(address: str, namespace: str) -> str:
    """Return the Web UI of a namespace in Temporal Cloud, empty for any other Temporal."""
    host = address.rpartition(":")[0]
    in_cloud = host.endswith((".tmprl.cloud", ".api.temporal.io"))
    return f"https://cloud.temporal.io/namespaces/{namespace}" if in_cloud else ""


async def _connect_configured(settings: Settings) -> Client:
    config = _configuration()
    address = config.setdefault("target_host", _DEFAULT_TARGET)
    try:
        return await _connect(config, settings)
    except RuntimeError as error:
        raise StackError(
            f"the configured Temporal at {address!r} does not answer: {error}",
            "check TEMPORAL_ADDRESS, profile, TLS and API key, or unset them for the embedded server",
        ) from error


async def _connect(config: dict[str, Any], settings: Settings) -> Client:
    from temporalio.client import Client
    from temporalio.service import GrpcCompression

    from mltemporal.encryption.plugin import plugin

    if encryption := plugin(settings):
        config = {**config, "plugins": [encryption]}
    host = config["target_host"].rpartition(":")[0]
    if host in ("127.0.0.1", "localhost", "[::1]"):
        config = {**config, "grpc_compression": GrpcCompression.NONE}  # on the loopback it halves throughput
    return await Client.connect(**config)


def _configuration() -> dict[str, Any]:
    from temporalio.envconfig import ClientConfig

    try:
        return dict(ClientConfig.load_client_connect_config())
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidRequest(
            f"Temporal's configuration cannot be read: {error}",
            "correct temporal.toml or the TEMPORAL_* variables, or unset them for the embedded server",
        ) from error


@functools.cache
def _wait_at_exit() -> None:
    """Let the SDK's threads come to rest before the interpreter ends.

    Otherwise a process that used a client now and then dies by SIGABRT or SIGSEGV at its very end
    (temporalio/sdk-python#300).
    """
    atexit.register(time.sleep, 0.1)
