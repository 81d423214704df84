"""What handles show of themselves: live in a notebook, as text in a terminal."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mltemporal.errors import MLTemporalError
from mltemporal.notebook.picture import Picture
from mltemporal.notebook.static import to_html, to_text

if TYPE_CHECKING:
    from mltemporal.handles import Job
    from mltemporal.notebook.live import LiveJob


class NotebookPresenter:
    """Shows jobs in a kernel's cells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[int, LiveJob] = {}

    def launched(self, job: Job[Any], message: str = "") -> None:
        """Show the live panel in the running cell; reads nothing, so it costs the launch nothing."""
        from mltemporal.notebook.live import LiveJob

        with self._lock:
            live = self._live.get(job.id)
            if live is None:
                live = self._live[job.id] = LiveJob(job, ended=lambda: self._forget(job.id))
        live.show(message)

    def show(self, job: Job[Any]) -> None:
        """Show a handle that is the last line of a cell: live while it runs, else its lasting form."""
        from IPython.display import display

        view = job.view()
        if view.status.final:
            display(self._bundle(Picture(view)), raw=True)
        else:
            self.launched(job)

    def mimebundle(self, job: Job[Any]) -> dict[str, object]:
        """Return the lasting form of the job as it stands now."""
        return self._bundle(Picture(job.view()))

    def settle(self, *_: object) -> None:
        """Called at the end of each cell: a job that ended in it is shown as ended.

        Without this, a notebook whose last cell is ``job.result()`` could be saved, by whoever
        executes it, with a panel that is a beat behind.
        """
        with self._lock:
            followed = list(self._live.values())
        for live in followed:
            with contextlib.suppress(MLTemporalError):  # the cell has its say about that, not its end
                live.settle()

    def _bundle(self, picture: Picture) -> dict[str, object]:
        return {"text/html": to_html(picture), "text/plain": to_text(picture)}

    def _forget(self, job_id: int) -> None:
        with self._lock:
            self._live.pop(job_id, None)


class TerminalPresenter:
    """Shows jobs as text, where no widgets are."""

    def launched(self, job: Job[Any], message: str = "") -> None:
        """Say that the job is on its way and how to follow it."""
        print(message or f"{job.name} (job {job.id}) is launched.")  # noqa: T201  (the shell is the user's)
        print("Follow it with .status, .logs() and .result().")  # noqa: T201

    def show(self, job: Job[Any]) -> None:
        """Print the job as it stands now."""
        print(to_text(Picture(job.view())))  # noqa: T201

    def mimebundle(self, job: Job[Any]) -> dict[str, object]:
        """Return the job as text."""
        return {"text/plain": to_text(Picture(job.view()))}


def install(ip: Any) -> Callable[[], None]:
    """Make handles show themselves in the shell ``ip``; returns what undoes it."""
    from mltemporal import handles

    if not has_kernel(ip):
        handles.set_presenter(TerminalPresenter())
        return lambda: handles.set_presenter(None)
    presenter = NotebookPresenter()
    handles.set_presenter(presenter)
    ip.events.register("post_run_cell", presenter.settle)

    def uninstall() -> None:
        handles.set_presenter(None)
        ip.events.unregister("post_run_cell", presenter.settle)

    return uninstall


def has_kernel(ip: Any) -> bool:
    """Whether ``ip`` is a kernel's shell (a notebook), not one in a terminal."""
    return getattr(ip, "kernel", None) is not None
