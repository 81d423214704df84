"""Running looks at parts: side by side, each with a time of its own, none in another's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mltemporal.errors import MLTemporalError
from mltemporal.settings import Settings
from mltemporal.specs.health import HealthCheck, HealthState

PATIENCE_S = 15.0
"""How long a look may take."""


@dataclass(frozen=True)
class Finding:
    """What a look found where it is not simply well."""

    state: HealthState
    detail: str
    next_step: str = ""


Look = Callable[[Settings], "str | Finding"]
"""Returns a sentence where all is well. What it raises is a problem, in the error's words."""


class Looker:
    """Looks at parts again and again.

    A look that does not come back keeps its thread, and is not begun a second time before it does:
    a server that swallows every question must not fill the worker with threads.
    """

    def __init__(self, settings: Settings, looks: Mapping[str, Look], patience_s: float = PATIENCE_S) -> None:
        self._settings = settings
        self._looks = dict(looks)
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}

    def look(self) -> tuple[HealthCheck, ...]:
        """Look at every part; returns after the slowest, or after ``patience_s``. Raises nothing."""
        with self._lock:
            for part, look in self._looks.items():
                if part not in self._running or not self._running[part].thread.is_alive():
                    self._running[part] = _Running(look, self._settings)
            begun = dict(self._running)
        deadline = time.monotonic() + self._patience_s
        return tuple(
            running.check(part, deadline, secrets_of(self._settings)) for part, running in begun.items()
        )


class _Running:
    """One look in a thread of its own."""

    def __init__(self, look: Look, settings: Settings) -> None:
        self._look, self._settings = look, settings
        self._found: Finding | None = None
        self._began = time.monotonic()
        self._took_s = 0.0
        self.thread = threading.Thread(target=self._run, name="health check", daemon=True)
        self.thread.start()

    def check(self, part: str, deadline: float, secrets: tuple[str, ...]) -> HealthCheck:
        self.thread.join(max(0.0, deadline - time.monotonic()))
        found, took_s = self._found, self._took_s
        if found is None:
            took_s = time.monotonic() - self._began
            found = Finding(
                HealthState.PROBLEM, f"no answer within {took_s:.0f} s", "look at it, and at the network"
            )
        return HealthCheck(
            part=part,
            state=found.state,
            latency_ms=round(1000 * took_s, 1),
            detail=without(secrets, found.detail),
            next_step=without(secrets, found.next_step),
        )

    def _run(self) -> None:
        try:
            said = self._look(self._settings)
            found = Finding(HealthState.OK, said) if isinstance(said, str) else said
        except MLTemporalError as error:
            found = Finding(HealthState.PROBLEM, error.what, error.next_step)
        except Exception as error:  # a part that fails in a new way is exactly what is looked for
            found = Finding(HealthState.PROBLEM, f"{type(error).__name__}: {error}", "report this as a bug")
        self._took_s = time.monotonic() - self._began
        self._found = found


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return what of the settings must not be told: the database's password, who is notified."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        password = make_url(settings.database_url).password
    except (ArgumentError, ValueError):
        password = settings.database_url
    given = (password, settings.notify_webhook, settings.notify_command)
    return tuple(sorted((str(each) for each in given if each and len(str(each)) > 3), key=len, reverse=True))


def without(secrets: tuple[str, ...], text: str) -> str:
    """Return the text with each secret blotted out. Errors of ours hold none; a library's may."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
