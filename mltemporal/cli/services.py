"""``mltemporal up | down | status | doctor``."""

from __future__ import annotations

import time

from mltemporal import stack
from mltemporal.errors import MLTemporalError
from mltemporal.settings import Settings, process_settings
from mltemporal.specs.running import JobStatus

_WORKER_SHOWS_UP_S = 5.0


def up() -> int:
    """Start the stack or attach to it, and show it."""
    settings = process_settings()
    before = stack.state(settings)
    running = stack.up(settings, tell=print)
    verb = "runs already" if before and before.supervisor == running.supervisor else "is up"
    print(f"the stack of {running.home} {verb}; `mltemporal down` stops it\n")
    print(_status_with_worker(settings))
    return 0


def down() -> int:
    """Stop the stack, and say what goes on without it."""
    settings = process_settings()
    live = _live_jobs(settings)
    if not stack.down(settings):
        print(f"no stack runs in the home {settings.home}")
        return 0
    print(f"the stack of {settings.home} is stopped")
    if live:
        what = "1 job is" if live == 1 else f"{live} jobs are"
        print(f"{what} not finished: a training that runs goes on, and `mltemporal up` follows it again")
    return 0


def status() -> int:
    """Show where everything is; exit code 1 when neither a stack nor another Temporal is there."""
    found = stack.status(process_settings())
    print(found)
    return 0 if found.temporal_address else 1


def doctor() -> int:
    """Show what was found about each part; exit code 1 when something is wrong."""
    from mltemporal.stack.doctor import run

    checks = run(process_settings())
    for check in checks:
        print(check)
    wrong = sum(not check.ok for check in checks)
    print(f"\n{wrong} of {len(checks)} parts need attention" if wrong else "\nall is well")
    return 1 if wrong else 0


def _status_with_worker(settings: Settings) -> stack.StackStatus:
    """Give a worker that has only just been started the moment that it needs to show itself."""
    deadline = time.monotonic() + _WORKER_SHOWS_UP_S
    while not (found := stack.status(settings)).workers and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _live_jobs(settings: Settings) -> int:
    from mltemporal.database.engine import Database

    try:
        database = Database.open(settings.database_url)
    except MLTemporalError:
        return 0  # stopping must work without a database
    try:
        live = [status.value for status in JobStatus if not status.final]
        return len(database.jobs.find(status=live, limit=1000))
    finally:
        database.close()
