"""The worker's side of fork servers: which one fits an order, and whether it is warm."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

_STARTUP = (
    "PYTHON",
    "LD_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "NUMEXPR_",
    "POLARS_",
    "ARROW_",
    "MALLOC_",
    "LANG",
    "LC_",
    "TZ",
    "GOMP_",
    "KMP_",
    "NPY_",
    "VECLIB_",
    "SKLEARN_",
)
"""Variables that an interpreter, or a library, reads once, at its start."""
_KEPT = 2


class WarmInterpreters:
    """At most two warm interpreters, the ones used last. Only on Linux: elsewhere forking is not safe."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, ...], _Server] = {}

    def run(self, folder: str, order: dict[str, Any]) -> bool:
        """Ask a warm interpreter to run the order in ``folder``; False where there is none yet.

        Then the caller starts it cold, and the next one like it finds a warm interpreter.
        """
        if sys.platform != "linux" or order["argv"][1:3] != ["-m", "mltemporal.runtime"]:
            return False
        key = _key(order)
        server = self._servers.pop(key, None)
        if server is not None and server.ended:
            server.close()
            server = None
        if server is None:
            try:
                server = _Server(order["argv"][0], order["env"])
            except OSError:  # its Python is gone: whoever starts it cold says so
                return False
        self._servers[key] = server  # the last is the one used last
        while len(self._servers) > _KEPT:
            unused = self._servers.pop(next(iter(self._servers)))
            # It takes a moment to end, which the worker's event loop must not wait for.
            threading.Thread(target=unused.close, name="end-warm-interpreter", daemon=True).start()
        return server.run(folder)

    @property
    def ready(self) -> bool:
        """Whether at least one stands ready."""
        return any(server.ready and not server.ended for server in self._servers.values())

    def ended(self, order: dict[str, Any]) -> bool:
        """Whether the interpreter that was asked has ended instead."""
        server = self._servers.get(_key(order))
        return server is None or server.ended

    def close(self) -> None:
        """End them all; what they forked goes on."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()


def _key(order: dict[str, Any]) -> tuple[str, ...]:
    started_with = sorted(
        f"{name}={value}" for name, value in order["env"].items() if name.startswith(_STARTUP)
    )
    return (order["argv"][0], *started_with)


class _Server:
    def __init__(self, python: str, env: dict[str, str]) -> None:
        self.ready = False
        # It ends with this thread, which is that of the worker's event loop.
        self._process = subprocess.Popen(
            [python, "-m", "mltemporal.launchers.forkserver"],
            env=env,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._waiter = threading.Thread(target=self._wait, name="warm-interpreter", daemon=True)
        self._waiter.start()

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    def run(self, folder: str) -> bool:
        if not self.ready or self.ended:
            return False
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # it reads the end of its input, and ends
        if not self.ready:
            self._process.terminate()  # it is still importing, and does not read yet
        self._waiter.join(5.0)

    def _wait(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            self.ready = output.readline() == b"ready\n"
            self._process.wait()
