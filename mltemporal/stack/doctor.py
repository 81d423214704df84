"""Looks at each part that a job needs, and says what to do about what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from mltemporal.errors import MLTemporalError, StackError
from mltemporal.settings import Settings
from mltemporal.stack import doctor_cluster, doctor_temporal
from mltemporal.stack.control import state
from mltemporal.stack.home import StackFiles, prepare_home
from mltemporal.stack.overview import masked_url
from mltemporal.stack.server import find_binary, server_version
from mltemporal.stack.succession import check_version
from mltemporal.words import clean

_NOTEBOOK_PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "matplotlib", "nbclient")


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found about one part."""

    part: str
    ok: bool
    detail: str
    next_step: str = ""
    """What to do about it; empty where nothing is wrong."""

    def __str__(self) -> str:
        line = f"{'ok     ' if self.ok else 'problem'}  {self.part}: {self.detail}"
        return clean(f"{line}\n         Next step: {self.next_step}" if self.next_step else line)


def run(settings: Settings) -> list[Check]:
    """Check every part, each in at most some seconds; starts nothing, raises nothing.

    Creates the home, in storage an object that it removes again, and in Temporal the search attributes.
    """
    return [
        _check(part, look, settings) for part, look in {**_PARTS, **doctor_cluster.parts(settings)}.items()
    ]


def _check(part: str, look: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(part=part, ok=True, detail=look(settings))
    except MLTemporalError as error:
        return Check(part=part, ok=False, detail=error.what, next_step=error.next_step)
    except Exception as error:  # a part that fails in a new way is exactly what is looked for
        return Check(
            part=part, ok=False, detail=f"{type(error).__name__}: {error}", next_step="report this as a bug"
        )


def _python(_settings: Settings) -> str:
    found = f"{platform.python_version()} at {sys.executable} on {platform.system()} {platform.machine()}"
    if os.name != "posix":
        raise StackError(f"{found} is not supported", "use Linux or macOS; on Windows, WSL")
    return found


def _home(settings: Settings) -> str:
    prepare_home(settings.home)
    free_gib = shutil.disk_usage(settings.home).free / 1024**3
    return f"{settings.home}, {free_gib:.1f} GiB free"


def _server(settings: Settings) -> str:
    if settings.temporal_configured:
        return "not needed, a Temporal is configured"
    binary = find_binary()
    return f"{server_version(binary)} at {binary}"


def stack(settings: Settings) -> str:
    """The processes of the embedded stack."""
    running = state(settings)
    if running is None:
        if settings.temporal_configured:
            return "not running, and not needed where workers of a configured Temporal run elsewhere"
        raise StackError("not running", "run `mltemporal up`, or `%load_ext mltemporal` in a notebook")
    check_version(running)
    for name, service in running.services.items():
        if service.state != "running":
            raise StackError(
                f"its {name} is {service.state}" + (f": it {service.trouble}" if service.trouble else ""),
                f"look into {str(StackFiles(settings.home).log(name))!r}",
            )
    names = " and ".join(running.services)
    return f"version {running.version} runs {names} (supervisor {running.supervisor.pid})"


def database(settings: Settings) -> str:
    """A round trip to the database, and its schema."""
    from mltemporal.database.engine import Database

    opened = Database.open(settings.database_url)
    try:
        return f"{masked_url(settings.database_url)} at schema {opened.revision()}"
    finally:
        opened.close()


def storage(settings: Settings) -> str:
    """Whether the storage takes, gives back and removes a small object."""
    from mltemporal.storage.content import Storage

    Storage(settings.storage_url).check()
    return f"{settings.storage_url} writes, reads and removes"


def _encryption(settings: Settings) -> str:
    from mltemporal.encryption.in_use import described
    from mltemporal.encryption.plugin import keyring_of

    keys = keyring_of(settings)
    if keys is None:
        return "off: whoever operates Temporal can read names, commands and who gave them"
    return described(keys)


def _notebook(_settings: Settings) -> str:
    found = []
    for package in _NOTEBOOK_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError as error:
            raise StackError(f"{package!r} is not installed", f"run `pip install {package}`") from error
    return ", ".join(found)


_PARTS: dict[str, Callable[[Settings], str]] = {
    "Python": _python,
    "home": _home,
    "Temporal program": _server,
    "stack": stack,
    "database": database,
    "storage": storage,
    "encryption": _encryption,
    "Temporal": doctor_temporal.temporal,
    "worker": doctor_temporal.worker,
    "versions": doctor_temporal.versions,
    "search attributes": doctor_temporal.search_attributes,
    "notebook packages": _notebook,
}
