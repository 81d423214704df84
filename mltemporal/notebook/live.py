"""One running job on the page: a live panel and, hidden behind it, its lasting static form.

The two are separate outputs of the cell. A saved notebook must never depend on widget state:
JupyterLab shows a bundle whose widget is gone as "model not found" and ignores the HTML beside
it. So the static form is an output of its own, renewed while the job runs; the live panel hides
it as long as it lives, and is cleared when the job ends.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from IPython.display import display, update_display

from mltemporal.notebook.panel import Panel
from mltemporal.notebook.picture import Picture
from mltemporal.notebook.static import to_html, to_text
from mltemporal.specs.running import JobStatus
from mltemporal.views import JobView

if TYPE_CHECKING:
    from mltemporal.handles import Job

SAVE_EVERY_S = 5.0
"""How old the static form of a running job may be: a notebook saved now shows it."""
_SETTLE_S = 2.0


class LiveJob:
    """Follows a job until it ends, in every output in which it is shown."""

    def __init__(self, job: Job[Any], ended: Callable[[], None]) -> None:
        view = JobView(id=job.id, name=job.name, kind="", status=JobStatus.QUEUED)
        self._job = job
        self._ended = ended
        self._picture = Picture(view)
        self._panel = Panel(self._picture, job.command_soon)
        self._lock = threading.Lock()
        self._outputs: list[tuple[str, str]] = []
        self._saved_at = 0.0
        self._saved_status: JobStatus | None = None
        self._over = threading.Event()
        self._watch: object = None

    def show(self, message: str = "") -> None:
        """Display the job in the current output; the first time, start to follow it."""
        with self._lock:
            self._picture.message = message
            static_id, live_id = uuid.uuid4().hex, uuid.uuid4().hex
            display(self._static(), raw=True, display_id=static_id)
            if self._over.is_set():
                return
            display(self._live(), raw=True, display_id=live_id)
            self._outputs.append((static_id, live_id))
            first = self._watch is None
        if first:
            self._watch = self._job.watch(self._seen)

    def settle(self) -> None:
        """Where the job has ended and the page does not say so yet, wait until it does."""
        if not self._over.is_set() and self._job.done():
            self._over.wait(_SETTLE_S)

    def _seen(self, view: JobView) -> None:
        # An empty context: it must not carry the header of the cell that launched the job, or
        # the front end would take what is sent now for output of a cell that has ended.
        Context().run(self._update, view)

    def _update(self, view: JobView) -> None:
        with self._lock:
            self._panel.show(view)
            due = time.monotonic() - self._saved_at >= SAVE_EVERY_S
            if due or view.status is not self._saved_status:
                self._save()
            if view.status.final:
                for _, live_id in self._outputs:
                    update_display({}, raw=True, display_id=live_id)
        if view.status.final:
            self._over.set()
            self._ended()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        self._saved_status = self._picture.view.status
        for static_id, _ in self._outputs:
            update_display(self._static(), raw=True, display_id=static_id)

    def _static(self) -> dict[str, str]:
        return static_bundle(self._picture, twin=self._panel.twin)

    def _live(self) -> dict[str, Any]:
        bundle = self._panel._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**data, "text/plain": ""}


def static_bundle(picture: Picture, twin: str = "") -> dict[str, str]:
    """Return the job as every viewer can show it."""
    return {"text/html": to_html(picture, twin=twin), "text/plain": to_text(picture)}
