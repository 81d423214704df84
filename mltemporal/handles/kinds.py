"""A handle for each kind of job, and how one is found."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidRequest
from mltemporal.handles.job import Job
from mltemporal.results import InferenceResult, PreprocessingResult, TrainingResult
from mltemporal.specs import results as specs

if TYPE_CHECKING:
    from mltemporal.database.jobs import JobRow
    from mltemporal.session import Session
    from mltemporal.tables import Dataset


class TrainingJob(Job[TrainingResult]):
    """One training."""

    @property
    def model(self) -> Any:
        """The fitted model; waits for the job's end. None where it saved none."""
        return self._finished.model

    def predict(self, dataset: object, **options: Any) -> InferenceJob:
        """Score a dataset with this job's model; waits for its end, as `model` does.

        ``options`` are those of `mltemporal.predict`.

        Raises:
            JobFailed, JobCancelled: there is no model.
            InvalidRequest: as for `mltemporal.predict`.
        """
        from mltemporal.batch import predict

        self.result()
        scoring = predict(self, dataset, **options)
        assert isinstance(scoring, InferenceJob)
        return scoring

    def _made(self, result: specs.TrainingResult) -> TrainingResult:
        return TrainingResult(**vars(result), artifacts=self.artifacts, storage=self._session.storage)


class PreprocessingJob(Job[PreprocessingResult]):
    """One preprocessing."""

    @property
    def dataset(self) -> Dataset:
        """The new dataset; waits for the job's end.

        Raises:
            InvalidRequest: it was split: see `train` and `test`.
        """
        return self._finished.dataset

    @property
    def train(self) -> Dataset:
        """The training part; waits for the job's end.

        Raises:
            InvalidRequest: it was not split.
        """
        return self._finished.train

    @property
    def test(self) -> Dataset:
        """The held-out part; waits for the job's end.

        Raises:
            InvalidRequest: it was not split.
        """
        return self._finished.test

    def _made(self, result: specs.PreprocessingResult) -> PreprocessingResult:
        return PreprocessingResult(**vars(result), session=self._session)


class InferenceJob(Job[InferenceResult]):
    """One batch inference."""

    def frame(self, limit: int | None = None) -> Any:
        """Return the predictions as a DataFrame, in the input's row order; waits for the job's end."""
        return self._finished.frame(limit)

    def _made(self, result: specs.InferenceResult) -> InferenceResult:
        return InferenceResult(**vars(result), storage=self._session.storage)


_KINDS: dict[str, type[Job[Any]]] = {
    "training": TrainingJob,
    "preprocessing": PreprocessingJob,
    "inference": InferenceJob,
}


def handle_of(session: Session, row: JobRow) -> Job[Any]:
    """Return the handle of a recorded job."""
    return _KINDS[row.kind](session, row)


def find(session: Session, id_or_name: int | str) -> Job[Any]:
    """Return the handle of a job by its id, or of the newest of that name.

    Raises:
        NotFound: there is none.
        InvalidRequest: it is neither an id nor a name.
    """
    if isinstance(id_or_name, str):
        return handle_of(session, session.database.jobs.named(id_or_name))
    try:
        number = operator.index(id_or_name)  # of NumPy too: ids come out of tables
    except TypeError:
        number = 0
    if isinstance(id_or_name, bool) or number < 1:
        raise InvalidRequest(f"{id_or_name!r} is neither id nor name", "give job(7) or job('churn')")
    return handle_of(session, session.database.jobs.get(number))
