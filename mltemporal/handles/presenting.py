"""Who shows jobs where the user is: the notebook sets one, a terminal another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mltemporal.handles.job import Job


class Presenter(Protocol):
    """Shows jobs where the user is; the notebook sets one."""

    def launched(self, job: Job[Any], message: str = "") -> None:
        """A job was launched, or attached to: show it now."""

    def show(self, job: Job[Any]) -> None:
        """The handle is the last line of a cell."""

    def mimebundle(self, job: Job[Any]) -> dict[str, object]:
        """Return the job's lasting form by MIME type."""


_presenter: Presenter | None = None


def set_presenter(presenter: Presenter | None) -> None:
    """Say who shows jobs from now on."""
    global _presenter  # noqa: PLW0603  (one screen a process)
    _presenter = presenter


def presenter() -> Presenter | None:
    """Return who shows jobs; None where nobody does."""
    return _presenter


def present_launch(job: Job[Any], message: str = "") -> None:
    """Show a job that was just launched or attached to, if somebody shows jobs here."""
    if _presenter is not None:
        _presenter.launched(job, message)
