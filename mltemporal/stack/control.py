"""Starting, finding and stopping the stack of one home."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from mltemporal.deployments.build import build_id
from mltemporal.errors import StackError
from mltemporal.settings import Settings
from mltemporal.stack.deployed import stop, stop_all
from mltemporal.stack.home import StackFiles, changing, is_locked, prepare_home
from mltemporal.stack.leftovers import stop_leftovers
from mltemporal.stack.logs import tail
from mltemporal.stack.ports import check_fixed_ports, choose_ports
from mltemporal.stack.record import StackState, check_settings, fingerprints, read_state
from mltemporal.stack.succession import check_version, is_older, took_over

_STOP_S = 20.0
"""How long an older stack may take to stop."""
_HOPELESS_FAILURES = 4
"""A server that dies so often in a row while it is being started will not come up."""


def up(
    settings: Settings,
    *,
    wait_s: float = 30,
    worker_command: Sequence[str] | None = None,
    tell: Callable[[str], object] | None = None,
) -> StackState:
    """Start the stack of ``settings.home``, or attach to the running one. Idempotent.

    A stack of older code is replaced: its services are stopped and started again from this code, while
    trainings go on. May be called by several processes at once: one of them starts it, all get the
    same state. A stack that runs is found within milliseconds. With a configured Temporal only a worker
    is started.

    Args:
        settings: where everything is.
        wait_s: seconds until Temporal must be usable.
        worker_command: what runs instead of ``python -m mltemporal.worker``.
        tell: is given one sentence for a person when an older stack was replaced.

    Raises:
        VersionMismatch: the running stack or the database's schema is of newer code; or the stack is of
            older code that jobs are pinned to.
        InvalidRequest: the home cannot be a directory.
        StackError: the home, its disk, a fixed port or the server cannot be used; or the running
            stack uses another database, storage or Temporal than ``settings``.
        ServiceUnavailable: the database does not answer.
    """
    if running := _attach(settings):
        return running
    files = prepare_home(settings.home)
    with changing(files, wait_s):
        if running := _attach(settings):
            return running
        older = state(settings)
        if older is not None and is_older(older):
            _stop_older(settings, files, older)
        else:
            older = None
        deadline = time.monotonic() + wait_s
        if not is_locked(files.lock):
            _start(settings, files, worker_command)
        running = _wait_until_ready(settings, files, deadline, wait_s)
        if older is not None and tell is not None:
            tell(took_over(older, _live_jobs(settings)))
        return running


def down(settings: Settings, *, timeout_s: float = 20) -> bool:
    """Stop the stack of ``settings.home`` and see that it is gone; returns whether there was one.

    Trainings are not part of it: they run on, and are followed again when the stack is up. Idempotent.

    Raises:
        StackError: it does not stop, or is being started by another process for ``timeout_s`` seconds.
    """
    files = StackFiles(settings.home)
    if not files.change_lock.exists():
        return False
    with changing(files, timeout_s):
        if not settings.temporal_configured:
            stop_all(files)  # they would have no server any more
        recorded = _recorded(files, timeout_s)
        was_alive = recorded is not None and recorded.alive
        if recorded and not recorded.supervisor.stop(timeout_s):
            raise StackError(
                f"the supervisor {recorded.supervisor.pid} of {str(settings.home)!r} does not stop",
                f"look into {str(files.log('supervisor'))!r}",
            )
        leftovers = stop_leftovers(files, read_state(files.state))
        if is_locked(files.lock):
            raise _foreign(files, recorded)
        files.state.unlink(missing_ok=True)
        return was_alive or bool(leftovers)


def state(settings: Settings) -> StackState | None:
    """Return the state of the running stack, None when none runs. Changes nothing."""
    recorded = read_state(StackFiles(settings.home).state)
    return recorded if recorded and recorded.alive else None


def _attach(settings: Settings) -> StackState | None:
    running = state(settings)
    if running is None:
        return None
    check_settings(running, fingerprints(settings, _temporal(settings)))
    if is_older(running):
        return None
    check_version(running)
    if not settings.temporal_configured:
        check_fixed_ports(
            settings, temporal_address=running.temporal_address, web_ui=running.web_ui, home=running.home
        )
    return running if running.ready else None


def _stop_older(settings: Settings, files: StackFiles, older: StackState) -> None:
    """Stop a stack of older code, whose jobs this code can take over."""
    from mltemporal.stack.pinned import check_nothing_pinned

    if settings.versioning == "pinned" and not settings.temporal_configured:
        check_nothing_pinned(settings, older)
        stop(files, build_id())  # the stack's own worker will be one of this build
    elif not settings.temporal_configured:
        stop_all(files)
    if not older.supervisor.stop(_STOP_S):
        raise StackError(
            f"the supervisor {older.supervisor.pid} of {older.home!r} does not stop",
            f"look into {str(files.log('supervisor'))!r}",
        )
    stop_leftovers(files, read_state(files.state))


def _live_jobs(settings: Settings) -> int:
    from mltemporal.database.engine import Database

    database = Database.open(settings.database_url)
    try:
        return len(database.leftovers.live())
    finally:
        database.close()


def _temporal(settings: Settings) -> str:
    if not settings.temporal_configured:
        return "embedded"
    from mltemporal.stack.connection import configured_target

    address, namespace = configured_target()
    return f"{address}/{namespace}"


def _start(settings: Settings, files: StackFiles, worker_command: Sequence[str] | None) -> None:
    """Check what can be checked where the errors are seen, then start a supervisor."""
    from mltemporal.database.engine import Database
    from mltemporal.stack.server import find_binary

    Database.prepare(settings.database_url)
    if not settings.temporal_configured:
        find_binary()
        stop_leftovers(files, read_state(files.state))  # they hold the ports
        choose_ports(settings, files.ports)
    with open(os.open(files.log("supervisor"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as log:
        subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "mltemporal.stack.supervisor",
                *(["--", *worker_command] if worker_command else []),
            ],
            env=_environ(settings),
            cwd=settings.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        )


def _environ(settings: Settings) -> dict[str, str]:
    """Return this process's environment with these settings, and none that it may have of another home."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MLTEMPORAL_")}
    return {**others, **settings.environ()}


def _wait_until_ready(settings: Settings, files: StackFiles, deadline: float, wait_s: float) -> StackState:
    while time.monotonic() < deadline:
        if ready := _attach(settings):
            return ready
        starting = state(settings)
        if not is_locked(files.lock):
            raise StackError(
                f"the supervisor ended at once: {tail(files.log('supervisor'), 5)}",
                f"look into {str(files.log('supervisor'))!r}, then run `mltemporal doctor`",
            )
        if starting is None and (recorded := read_state(files.state)) and recorded.host != platform.node():
            raise _foreign(files, recorded)
        server = starting and starting.services.get("temporal")
        if server and server.failures >= _HOPELESS_FAILURES:
            break
        time.sleep(0.01)
    hopeless = state(settings)
    if hopeless:
        hopeless.supervisor.send(signal.SIGTERM)
    server = hopeless and hopeless.services.get("temporal")
    raise StackError(
        f"the Temporal server did not come up within {wait_s:.0f} s"
        + (f" (it {server.trouble}): {tail(files.log('temporal'), 3)}" if server and server.trouble else ""),
        f"look into {str(files.log('temporal'))!r}, then run `mltemporal doctor`",
    )


def _recorded(files: StackFiles, timeout_s: float) -> StackState | None:
    """Return what is written down; a supervisor that has only just begun is given time to write."""
    deadline = time.monotonic() + timeout_s
    while True:
        recorded = read_state(files.state)
        if not is_locked(files.lock) or (recorded and recorded.alive):
            return recorded
        if time.monotonic() > deadline:
            raise _foreign(files, recorded)
        time.sleep(0.02)


def _foreign(files: StackFiles, recorded: StackState | None) -> StackError:
    where = f" on the machine {recorded.host!r}" if recorded and recorded.host != platform.node() else ""
    return StackError(
        f"the home {str(files.home)!r} is in use by a supervisor{where} that this process cannot see",
        "stop it there with `mltemporal down`, or set MLTEMPORAL_HOME to a directory of this machine's own",
    )
