"""Where things are: read once, from the environment and the platform's conventions.

Library code never reads ``os.environ`` for its own configuration; it is handed a `Settings`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from mltemporal.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One consistent set of places and limits. Secrets are not shown by ``repr``."""

    home: Path
    """Everything of the embedded stack and of local jobs; private to the user."""
    database_url: str = field(repr=False)
    """An SQLAlchemy URL; SQLite in the home by default."""
    storage_url: str
    """A directory, or ``s3://bucket/prefix``."""
    task_queue: str | None = None
    """None derives one from the database, so that two databases on one Temporal never mix."""
    temporal_configured: bool = False
    """Whether the user named a Temporal of their own; then no server is started."""
    max_local_jobs: int = 2
    """How many local jobs run at once; the others wait in the queue."""
    web_port: int | None = None
    """A fixed port for the embedded Web UI; None takes a free one and keeps it."""
    temporal_port: int | None = None
    """A fixed port for the embedded Temporal server; None takes a free one and keeps it."""

    def environ(self) -> dict[str, str]:
        """Return the environment variables from which `load_settings` reads these same settings.

        Holds the database's password, if there is one: for a child process, not for a log.
        """
        values = {
            "MLTEMPORAL_HOME": str(self.home),
            "MLTEMPORAL_DATABASE_URL": self.database_url,
            "MLTEMPORAL_STORAGE_URL": self.storage_url,
            "MLTEMPORAL_TASK_QUEUE": self.task_queue,
            "MLTEMPORAL_TEMPORAL": "configured" if self.temporal_configured else "embedded",
            "MLTEMPORAL_MAX_LOCAL_JOBS": self.max_local_jobs,
            "MLTEMPORAL_WEB_PORT": self.web_port,
            "MLTEMPORAL_TEMPORAL_PORT": self.temporal_port,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from ``environ`` (by default the process's own).

    ``MLTEMPORAL_HOME``, ``MLTEMPORAL_DATABASE_URL``, ``MLTEMPORAL_STORAGE_URL``,
    ``MLTEMPORAL_TASK_QUEUE``, ``MLTEMPORAL_MAX_LOCAL_JOBS``, ``MLTEMPORAL_WEB_PORT`` and
    ``MLTEMPORAL_TEMPORAL_PORT``; Temporal's own ``TEMPORAL_ADDRESS``, ``TEMPORAL_PROFILE`` and
    ``TEMPORAL_CONFIG_FILE`` say where Temporal is. ``MLTEMPORAL_TEMPORAL`` set to ``embedded`` uses
    the embedded server in spite of those, ``configured`` never starts one.

    Raises:
        InvalidRequest: a value is not what it should be, e.g. a port out of range.
    """
    env = dict(os.environ) if environ is None else environ
    home = Path(_absolute(env.get("MLTEMPORAL_HOME") or platformdirs.user_data_dir("mltemporal")))
    return Settings(
        home=home,
        database_url=_absolute_database(
            env.get("MLTEMPORAL_DATABASE_URL") or f"sqlite:///{home / 'mltemporal.db'}"
        ),
        storage_url=_absolute(env.get("MLTEMPORAL_STORAGE_URL") or str(home / "storage")),
        task_queue=env.get("MLTEMPORAL_TASK_QUEUE") or None,
        temporal_configured=_temporal_configured(env),
        max_local_jobs=_number(env, "MLTEMPORAL_MAX_LOCAL_JOBS", 1, 1024) or _default_local_jobs(),
        web_port=_number(env, "MLTEMPORAL_WEB_PORT", 1, 65_535),
        temporal_port=_number(env, "MLTEMPORAL_TEMPORAL_PORT", 1, 65_535),
    )


def _temporal_configured(env: dict[str, str]) -> bool:
    """Whether Temporal's own configuration names an address (its default profile counts)."""
    if choice := env.get("MLTEMPORAL_TEMPORAL"):
        if choice not in ("embedded", "configured"):
            raise InvalidRequest(
                f"MLTEMPORAL_TEMPORAL={choice!r} is neither 'embedded' nor 'configured'",
                "unset it to use TEMPORAL_ADDRESS or temporal.toml where there is one",
            )
        return choice == "configured"
    if any(env.get(name) for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")):
        return True
    return (platformdirs.user_config_path("temporalio") / "temporal.toml").exists()


def _absolute(path_or_url: str) -> str:
    """Make a path mean the same in every process, wherever it runs."""
    return path_or_url if "://" in path_or_url else str(Path(path_or_url).expanduser().absolute())


def _absolute_database(url: str) -> str:
    start = "sqlite:///"
    is_file = url.startswith(start) and ":memory:" not in url
    return start + _absolute(url.removeprefix(start)) if is_file else url


def _default_local_jobs() -> int:
    return max(2, (os.cpu_count() or 2) // 2)


def _number(env: dict[str, str], name: str, low: int, high: int) -> int | None:
    text = env.get(name)
    if not text:
        return None
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise InvalidRequest(
        f"{name}={text!r} is not a whole number from {low} to {high}",
        f"set {name} to such a number, or unset it for the default",
    )
