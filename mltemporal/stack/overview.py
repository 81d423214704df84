"""What a person asks first: is it running, and where is everything."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.errors import MLTemporalError
from mltemporal.settings import Settings
from mltemporal.stack.control import state
from mltemporal.stack.home import home_id
from mltemporal.words import one_line

if TYPE_CHECKING:
    from mltemporal.database.engine import Database
    from mltemporal.database.workers import WorkerInfo


@dataclass(frozen=True, kw_only=True)
class StackStatus:
    """Where everything is and who works; holds no password or key."""

    running: bool
    """Whether the stack of this home is up."""
    services: str
    """The stack's processes in words."""
    temporal_address: str
    """Empty where the embedded server does not run."""
    task_queue: str
    """Empty where it is derived from a database that cannot be opened."""
    web_ui: str
    """Temporal's Web UI; empty where unknown."""
    database: str
    """Its URL, without the password."""
    storage: str
    encryption: str = ""
    """Whether what goes through Temporal is encrypted, and with which key; never the key itself."""
    workers: tuple[WorkerInfo, ...] = ()
    """Those that were seen within the last seconds, on any machine."""
    trouble: str = ""
    """Why something above is missing."""

    def __repr__(self) -> str:
        width = max(len(name) for name, _ in self._rows())
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self._rows())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left">{_cell(value)}</td></tr>'
            for name, value in self._rows()
        )
        return f"<table>{rows}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("stack", self.services),
            ("Temporal", self.temporal_address or "not running"),
            ("Web UI", self.web_ui or "unknown"),
            ("task queue", self.task_queue or "unknown"),
            ("database", self.database),
            ("storage", self.storage),
            ("encryption", self.encryption or "unknown"),
            ("workers", "none"),
        ]
        if self.workers:
            # one that serves two queues is listed for each
            rows[-1:] = [("worker", text) for text in dict.fromkeys(map(_describe, self.workers))]
        told = [*rows, ("trouble", self.trouble)] if self.trouble else rows
        return [(name, one_line(value)) for name, value in told]


def status(settings: Settings) -> StackStatus:
    """Return where everything is. Starts nothing, and raises for nothing that is merely away."""
    running = state(settings)
    address, web_ui, trouble = "", "", ""
    if settings.temporal_configured:
        from mltemporal.stack.connection import cloud_web_ui, configured_target

        address, namespace = configured_target()
        web_ui = cloud_web_ui(address, namespace)
    elif running:
        address, web_ui = running.temporal_address, running.web_ui
    queue = settings.task_queue or ""
    workers: tuple[WorkerInfo, ...] = ()
    try:
        queue, workers = _workers(settings)
    except MLTemporalError as error:
        trouble = error.what
    except OSError as error:
        trouble = f"the database cannot be opened: {error}"
    return StackStatus(
        running=running is not None,
        services=", ".join(f"{name} {service.state}" for name, service in running.services.items())
        if running
        else "not running",
        temporal_address=address,
        task_queue=queue,
        web_ui=web_ui,
        database=masked_url(settings.database_url),
        storage=settings.storage_url,
        encryption=encryption(settings),
        workers=workers,
        trouble=trouble,
    )


def encryption(settings: Settings) -> str:
    """Say whether what goes through Temporal is encrypted, and with which key. Creates nothing."""
    from mltemporal.encryption.in_use import described
    from mltemporal.encryption.keyring import read_keyring

    path = settings.keys_file
    if path is None:
        return "off: MLTEMPORAL_ENCRYPTION_KEYS names no keys"
    try:
        return described(read_keyring(path, private=not settings.encryption_keys))
    except FileNotFoundError:
        missing = f"there are no keys in {path}"
        return missing if settings.encryption_keys else f"on; {missing} yet"
    except MLTemporalError as error:
        return f"nothing can be sent: {error.what}"


def masked_url(database_url: str) -> str:
    """Return the database's URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from mltemporal.database.connecting import shown

    try:
        return shown(make_url(database_url))
    except (ArgumentError, ValueError):
        return "not a database URL"


def task_queue(settings: Settings, database: Database, backend: str = "local") -> str:
    """Return the task queue of a backend's jobs in ``database``: a queue each, so that no two are ever mixed.

    Local jobs belong to one home. Where others may use the same Temporal and database, they have
    a queue of their own; a worker elsewhere could not run them.
    """
    shared = settings.task_queue or f"mltemporal-{database.id}"
    if backend == "local" and settings.temporal_configured:
        return f"{shared}-{home_id(settings.home)}"
    return shared


def _workers(settings: Settings) -> tuple[str, tuple[WorkerInfo, ...]]:
    from mltemporal.database.engine import Database

    database = Database.open(settings.database_url)
    try:
        return task_queue(settings, database, settings.backend), tuple(database.workers.alive())
    finally:
        database.close()


def _describe(worker: WorkerInfo) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(worker.started_at))
    return f"process {worker.pid} on {worker.host}, mltemporal {worker.version}, since {since}"


def _cell(value: str) -> str:
    escaped = html.escape(value, quote=True)
    if value.startswith(("http://", "https://")):
        return f'<a href="{escaped}" target="_blank" rel="noopener">{escaped}</a>'
    return escaped
