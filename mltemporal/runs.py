"""Every run as a table and as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltemporal.errors import NotFound
from mltemporal.specs.results import TrainingResult
from mltemporal.views import POINT_COLUMNS, beside
from mltemporal.watching import dataset_label
from mltemporal.words import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from mltemporal.database.jobs import JobRow
    from mltemporal.handles import Job
    from mltemporal.session import Session


class RunHistory:
    """The runs that `history` found, newest first."""

    def __init__(self, session: Session, rows: list[JobRow]) -> None:
        self._session = session
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return repr(self.frame) if self._rows else "no runs yet"

    def _repr_html_(self) -> str:
        html: str = self.frame.to_html(index=False, escape=True) if self._rows else "<em>no runs yet</em>"
        return html

    @property
    def frame(self) -> pd.DataFrame:
        """One row a run: what it was, how it ended, its final metrics (a column each)."""
        import pandas as pd

        rows = [{**_facts(row), **_metrics(row)} for row in self._rows]
        frame = pd.DataFrame(rows, columns=None if rows else _RUN_COLUMNS)
        for column in ("created", "finished"):
            frame[column] = pd.to_datetime(frame[column], unit="s", utc=True)
        return frame

    def plot(self, metric: str | None = None) -> Figure:
        """Return a figure of one final metric over the runs; by default the one most runs have.

        Raises:
            NotFound: no run has that metric.
        """
        from mltemporal.plots.runs import plot_history

        return plot_history(self.frame, self._metric(metric))

    def compare(self, metric: str | None = None, *, jobs: Sequence[Job[Any]] | None = None) -> Figure:
        """Return a figure with one reported metric's curves of several runs, by default the newest five."""
        from mltemporal.handles import handle_of
        from mltemporal.plots.metrics import plot_comparison

        chosen = [handle_of(self._session, row) for row in self._rows[:5]] if jobs is None else list(jobs)
        frames = {f"{job.id} {job.name}": job.metrics() for job in chosen}
        reported = [name for frame in frames.values() for name in frame.columns if name not in POINT_COLUMNS]
        return plot_comparison(frames, _chosen(metric, reported, "reported by these runs"))

    def _metric(self, metric: str | None) -> str:
        found = [name for row in self._rows for name in _metrics(row)]
        return _chosen(metric, found, "among the final metrics of these runs")


def _chosen(metric: str | None, found: list[str], where: str) -> str:
    if not found:
        raise NotFound(f"there is no metric {where} yet", "wait for a run that reports or evaluates")
    if metric is None:
        return max(dict.fromkeys(found), key=found.count)
    if metric not in found:
        raise NotFound(f"there is no metric {metric!r} {where}", f"there are {sorted(set(found))}")
    return metric


_RUN_COLUMNS = (
    *("id", "name", "kind", "status", "trainer", "dataset", "target", "attempts"),
    *("created", "finished", "duration_s", "tags", "by"),
)


def _facts(row: JobRow) -> dict[str, Any]:
    """Return the `_RUN_COLUMNS`."""
    return {
        "id": row.id,
        "name": one_line(row.name),
        "kind": row.kind,
        "status": row.status.value,
        "trainer": one_line(row.spec.trainer.label),
        "dataset": dataset_label(row),
        "target": None if row.spec.target is None else one_line(row.spec.target),
        "attempts": row.attempt,
        "created": row.created_at,
        "finished": row.finished_at,
        "duration_s": None if row.result is None else row.result.duration_s,
        "tags": ", ".join(map(one_line, row.tags)),
        "by": one_line(row.created_by),
    }


def _metrics(row: JobRow) -> dict[str, float]:
    if row.result is None:
        return {}
    return beside(_RUN_COLUMNS, {one_line(name): value for name, value in row.result.metrics.items()})


def jobs_frame(rows: list[JobRow]) -> pd.DataFrame:
    """Return a table of jobs as they stand now."""
    import pandas as pd

    columns = ["id", "name", "kind", "status", "stage", "attempts", "trainer", "dataset"]
    facts = [{**_facts(row), "stage": one_line(row.stage)} for row in rows]
    return pd.DataFrame(facts, columns=columns)


def models_frame(session: Session) -> pd.DataFrame:
    """Return the models that jobs have made, newest first."""
    import pandas as pd

    columns = ["job", "name", "model", "task", "target", "format", "size_bytes"]
    rows = [
        {
            "job": row.id,
            "name": one_line(row.name),
            "model": one_line(model.label),
            "task": model.task,
            "target": None if model.target is None else one_line(model.target),
            "format": model.object.format,
            "size_bytes": model.object.size_bytes,
            **beside(columns, {one_line(name): value for name, value in row.result.metrics.items()}),
        }
        for row in session.database.jobs.find(status=["succeeded"], limit=1000)
        if isinstance(row.result, TrainingResult) and (model := row.result.model_ref) is not None
    ]
    return pd.DataFrame(rows, columns=None if rows else columns)
