"""The verbs that look back: jobs, runs, datasets and models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltemporal import request, session
from mltemporal.errors import InvalidRequest
from mltemporal.handles import Job, find, handle_of
from mltemporal.specs.running import JobStatus

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.database.jobs import JobRow
    from mltemporal.runs import RunHistory
    from mltemporal.tables import DatasetList


def job(id_or_name: int | str) -> Job[Any]:
    """Return the handle of a job, from any kernel: by its id, or the newest of that name.

    Raises:
        NotFound: there is none.
    """
    return find(session.current(), id_or_name)


def jobs(
    *,
    status: str | Sequence[str] | None = None,
    name: str | None = None,
    tag: str | None = None,
    limit: int = 100,
) -> JobList:
    """Return handles of the jobs that fit every given condition, newest first."""
    return JobList(session.current(), _rows(status, name, tag, limit))


def history(
    *,
    status: str | Sequence[str] | None = None,
    name: str | None = None,
    tag: str | None = None,
    limit: int = 1000,
) -> RunHistory:
    """Return every run that fits every given condition, newest first, as a table and as pictures."""
    from mltemporal.runs import RunHistory

    return RunHistory(session.current(), _rows(status, name, tag, limit))


def datasets() -> DatasetList:
    """Return the tables that jobs were given or have made, newest first; by name: ``datasets()["clean"]``."""
    from mltemporal.tables import Dataset, DatasetList

    here = session.current()
    return DatasetList(Dataset(here, row) for row in here.database.datasets.all())


def models() -> pd.DataFrame:
    """Return the models that jobs have made, newest first; ``job(id).model`` loads one."""
    from mltemporal.runs import models_frame

    return models_frame(session.current())


class JobList(list[Job[Any]]):
    """Handles, shown as a table."""

    def __init__(self, here: session.Session, rows: list[JobRow]) -> None:
        super().__init__(handle_of(here, row) for row in rows)
        self._session = here

    def _repr_html_(self) -> str:
        from mltemporal.runs import jobs_frame

        rows = [self._session.database.jobs.get(handle.id) for handle in self]
        html: str = jobs_frame(rows).to_html(index=False, escape=True)
        return html


def _rows(status: str | Sequence[str] | None, name: str | None, tag: str | None, limit: int) -> list[JobRow]:
    wanted = [status] if isinstance(status, str) else list(status or ())
    for value in wanted:
        if value not in set(JobStatus):
            raise InvalidRequest(f"status={value!r} is none", f"use {', '.join(JobStatus)}")
    request.whole_number("limit", limit, 1, 1_000_000)
    return session.current().database.jobs.find(status=wanted, name=name, tag=tag, limit=limit)
