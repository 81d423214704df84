"""Which model scores, and whether a dataset is what it was trained on: `predict`'s checks in the kernel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidDataset, InvalidRequest
from mltemporal.handles import Job, TrainingJob, find
from mltemporal.specs.data import DatasetRef, ModelRef, ObjectRef
from mltemporal.specs.results import TrainingResult
from mltemporal.specs.running import JobStatus

if TYPE_CHECKING:
    from mltemporal.database.datasets import DatasetRow
    from mltemporal.dataset.checking import CheckedDataset
    from mltemporal.session import Session
    from mltemporal.storage.content import Storage


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model that can score, stored already or not."""

    label: str
    ref: ModelRef | None = None
    """Where it is stored; None: it is ``value``, or the file ``path``."""
    value: Any = None
    path: Path | None = None
    job_id: int | None = None
    """The training that made it."""
    trained_on: DatasetRef | None = None
    source: DatasetRef | None = None
    """What its training data was made from, where a preprocessing made it."""
    target: str | None = None
    features: tuple[str, ...] = ()
    """The columns that it takes; empty where unknown."""
    pipeline: ObjectRef | None = None
    """The fitted steps that made its training data."""

    def meant(self, stored: ModelRef) -> ModelRef:
        """Return ``stored`` as it is the same in each kernel that asks for it.

        A model in memory has other bytes each time (see `code.fingerprints`), and its versions tell what
        else the kernel has imported.
        """
        if self.value is None:
            return stored
        from mltemporal.code.fingerprints import fingerprint

        meaning = ObjectRef(sha256=fingerprint(self.value).hex(), size_bytes=0, format="meaning")
        return replace(stored, object=meaning, versions={})

    def store(self, storage: Storage) -> ModelRef:
        """Store it, where it is not, and return where it is. Idempotent.

        Raises:
            InvalidTrainer: it cannot be stored.
            ServiceUnavailable: storage does not answer or is full.
        """
        from mltemporal.model_files import save_model, save_model_file

        if self.ref is not None:
            return replace(self.ref, features=self.features)
        if self.path is not None:
            return save_model_file(self.path, storage)
        return save_model(
            self.value, storage, label=self.label, task=None, target=None, features=self.features
        )

    def check_versions(self) -> None:
        """Refuse a model that this environment, in which a local job runs, could not load.

        Raises:
            VersionMismatch: it was made by another Python or scikit-learn.
        """
        from mltemporal.code.versions import check_versions

        if self.ref is not None:
            check_versions(self.ref.versions, f"the model {self.label!r} was made")


def find_model(here: Session, model: object) -> FoundModel:
    """Return the model of a finished training (by handle, id or name), a fitted one, or that of a file.

    Raises:
        NotFound: there is no such job.
        InvalidRequest: the job has not succeeded or saved no model, or ``model`` is none.
    """
    if isinstance(model, str | os.PathLike) and os.path.exists(model):
        from mltemporal.model_files import check_model_file

        return FoundModel(label=Path(model).name, path=check_model_file(Path(model)))
    if isinstance(model, str | int) or hasattr(model, "__index__"):
        model = find(here, model)  # type: ignore[arg-type]  # it refuses what is neither
    if isinstance(model, Job):
        return _of_job(here, model)
    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        raise InvalidRequest(
            f"a {type(model).__name__} is no model",
            "pass a finished training job, its id or name, a fitted model, or a .skops, .joblib or .pkl file",
        )
    features = getattr(model, "feature_names_in_", ())
    return FoundModel(label=type(model).__name__, value=model, features=tuple(map(str, features)))


def _of_job(here: Session, job: Job[Any]) -> FoundModel:
    row = here.database.jobs.get(job.id)
    if not isinstance(job, TrainingJob):
        raise InvalidRequest(f"job {job.id} is a {row.kind}, which makes no model", "pass a training job")
    if row.status is not JobStatus.SUCCEEDED or not isinstance(row.result, TrainingResult):
        wait = "look at job.status" if row.status.final else f"wait for it: mltemporal.job({job.id}).wait()"
        raise InvalidRequest(f"job {job.id} is {row.status} and has no model to predict with", wait)
    if row.result.model_ref is None:
        raise InvalidRequest(f"job {job.id} saved no model", "let its function return the fitted model")
    ref, trained_on = row.result.model_ref, row.spec.dataset
    made = here.database.datasets.of(trained_on.fingerprint)
    source = here.database.datasets.of(made.facts.sources[0]) if made and made.facts.sources else None
    return FoundModel(
        label=ref.label,
        ref=ref,
        job_id=job.id,
        trained_on=trained_on,
        source=None if source is None else source.ref,
        target=row.spec.target,
        features=ref.features,
        pipeline=None if made is None else made.facts.pipeline,
    )


def pipeline_for(
    model: FoundModel, registered: DatasetRow | None, wanted: bool | None
) -> tuple[ObjectRef | None, str]:
    """Return the fitted steps to apply before scoring, and a sentence about them.

    Raises:
        InvalidRequest: they are asked for, and the model's training data was not preprocessed.
    """
    if model.pipeline is None:
        if wanted:
            raise InvalidRequest(
                f"the training data of {model.label!r} was not made by preprocess()", "leave preprocess out"
            )
        return None, ""
    ready = registered is not None and registered.facts.pipeline == model.pipeline
    if wanted is False or (wanted is None and ready):
        return None, "the dataset is scored as it is" if wanted is False else ""
    return model.pipeline, "the steps that made the training data are applied first"


def check_columns(model: FoundModel, dataset: CheckedDataset, pipeline: ObjectRef | None) -> str:
    """Compare the dataset's columns with those trained on; returns a sentence about those not used.

    Raises:
        InvalidDataset: columns are missing or of other types; names them.
    """
    from mltemporal.dataset.schema import check_schema

    trained_on = model.trained_on if pipeline is None else model.source
    if trained_on is None:
        missing = [name for name in model.features if name not in dataset.column_names]
        if missing:
            raise InvalidDataset(
                f"{dataset.label} lacks columns that the model takes: {', '.join(map(repr, missing))}",
                "pass a table with the columns that it was trained on",
            )
        return ""
    features = model.features if pipeline is None else ()
    differing = check_schema(trained_on.columns, dataset.columns, target=model.target, features=features)
    if not differing.extra or pipeline is not None:
        return ""
    return f"columns that the model does not know are passed over: {', '.join(differing.extra[:10])}"


def check_kept(keep: Sequence[str] | str, dataset: CheckedDataset) -> tuple[str, ...]:
    """Return the columns to pass through; ``"all"`` means every one.

    Raises:
        InvalidDataset: one does not exist, or bears the name of the prediction.
    """
    from mltemporal.dataset.checking import check_column_name
    from mltemporal.runtime.predicting import is_taken

    if isinstance(keep, str) and keep != "all":
        raise InvalidRequest(f"keep={keep!r} is no list of columns", 'give keep=["id"], or keep="all"')
    kept = tuple(dict.fromkeys(dataset.column_names if keep == "all" else keep))
    for name in kept:
        check_column_name(dataset.column_names, name, what="the column to keep")
        if is_taken(name):
            raise InvalidDataset(
                f"the column to keep {name!r} has a name that predictions are written to",
                "rename the column, or leave it out of keep=",
            )
    return kept
