"""Ports that stay: a restarted server is found where it was."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass
from pathlib import Path

from mltemporal.errors import StackError
from mltemporal.settings import Settings

LOOPBACK = "127.0.0.1"

# Below the ranges from which Linux, macOS and Kubernetes hand out ports, so that nobody is
# given ours while the server restarts.
_FIRST, _COUNT = 20_000, 10_000


@dataclass(frozen=True)
class Ports:
    """Where the embedded server listens."""

    temporal: int
    web: int


def choose_ports(settings: Settings, remembered: Path) -> Ports:
    """Return free ports: the fixed ones, else those of the last time, else others; remembers them.

    Raises:
        StackError: a port that the settings fix is taken.
    """
    for variable, port in _fixed(settings).items():
        if is_taken(port):
            raise StackError(
                f"port {port} is taken by {port_owner(port)}",
                f"stop that, or set {variable} to another port; unset, a free one is taken",
            )
    last = _remembered(remembered)
    first = _FIRST + int(hashlib.sha256(str(settings.home).encode()).hexdigest(), 16) % _COUNT
    temporal = settings.temporal_port or _free(last.temporal if last else None, first, but=settings.web_port)
    web = settings.web_port or _free(last.web if last else None, first + 1, but=temporal)
    ports = Ports(temporal, web)
    if ports != last:
        remembered.touch(mode=0o600)
        remembered.write_text(json.dumps(vars(ports)))
    return ports


def check_fixed_ports(settings: Settings, *, temporal_address: str, web_ui: str, home: str) -> None:
    """Raise unless a running stack listens where the settings say.

    Raises:
        StackError: it listens elsewhere.
    """
    actual = {"MLTEMPORAL_TEMPORAL_PORT": temporal_address, "MLTEMPORAL_WEB_PORT": web_ui}
    for variable, port in _fixed(settings).items():
        if not actual[variable].endswith(f":{port}"):
            raise StackError(
                f"{variable} is {port}, but the running stack of {home!r} listens at {actual[variable]}",
                f"run `mltemporal down && mltemporal up`, or unset {variable}",
            )


def is_taken(port: int) -> bool:
    """Whether some process listens at ``port`` of this machine's loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return True
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def port_owner(port: int) -> str:
    """Say who listens at ``port``, as far as this user may know."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()!r} (process {connection.pid})"
    except psutil.Error:
        return "another process"
    return "another process"


def _fixed(settings: Settings) -> dict[str, int]:
    ports = {"MLTEMPORAL_TEMPORAL_PORT": settings.temporal_port, "MLTEMPORAL_WEB_PORT": settings.web_port}
    return {variable: port for variable, port in ports.items() if port is not None}


def _remembered(path: Path) -> Ports | None:
    try:
        return Ports(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # the first time, or a damaged note: other ports do as well


def _free(last: int | None, first: int, *, but: int | None) -> int:
    candidates = (_FIRST + (first - _FIRST + i) % _COUNT for i in range(_COUNT))
    for port in ([last] if last else []) + list(candidates):
        if port != but and not is_taken(port):
            return port
    raise StackError(
        f"no free port from {_FIRST} to {_FIRST + _COUNT}", "set MLTEMPORAL_TEMPORAL_PORT and …_WEB_PORT"
    )
