"""Who follows whom: a stack of older code is replaced, one of newer code is not touched."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from mltemporal.deployments.build import build_id, build_on_disk, code_folder
from mltemporal.errors import VersionMismatch
from mltemporal.stack.record import StackState
from mltemporal.version import __version__


def is_older(running: StackState) -> bool:
    """Whether the running stack is of older code than this process, which then takes over.

    By version; of one version, an installation's own edits count: the running stack was started from
    this very folder, and what lies there now is what this process runs.
    """
    if running.build == build_id():
        return False
    if running.version != __version__:
        return _version(running.version) < _version(__version__)
    if not running.build:
        return True
    return running.code == code_folder() and build_on_disk() == build_id()


def check_version(running: StackState) -> None:
    """Raise unless the running stack and this code are of one build.

    Raises:
        VersionMismatch: they are not.
    """
    if running.build == build_id():
        return
    what = (
        f"the stack of {running.home!r} was started by mltemporal {running.build or running.version}, "
        f"this is {build_id()}"
    )
    if is_older(running):
        raise VersionMismatch(what, "run `mltemporal up`, which takes over; trainings that run go on")
    if running.version == __version__ and running.code != code_folder():
        raise VersionMismatch(
            f"{what}, from another folder: {running.code!r}, not {code_folder()!r}",
            "run `mltemporal down && mltemporal up`, or give one of them a MLTEMPORAL_HOME of its own",
        )
    raise VersionMismatch(
        f"{what}, which is older",
        "restart the kernel: it still runs what was installed before the upgrade "
        "(or install the newer one here: `pip install -U mltemporal`)",
    )


def took_over(before: StackState, live_jobs: int) -> str:
    """Return the one sentence that a person reads."""
    jobs = "no job was running" if not live_jobs else _go_on(live_jobs)
    if before.version != __version__:
        return f"mltemporal {__version__} took over from {before.version}; {jobs}."
    was = f"build {before.build}" if before.build else "the code before"
    return f"mltemporal {build_id()} took over from {was}; {jobs}."


def _go_on(live_jobs: int) -> str:
    return "1 running job goes on" if live_jobs == 1 else f"{live_jobs} running jobs go on"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
