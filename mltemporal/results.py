"""What a finished job left behind, within reach: the result, its model, its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidRequest, NotFound
from mltemporal.progress import is_file_name
from mltemporal.specs import results as specs
from mltemporal.specs.data import Artifact
from mltemporal.specs.encoding import decode
from mltemporal.storage.content import Storage
from mltemporal.words import one_line

if TYPE_CHECKING:
    import pandas as pd

    from mltemporal.profiling.drift import Drift
    from mltemporal.session import Session
    from mltemporal.tables import Dataset


class StoredFile:
    """One file that a job left behind; its bytes are read, and verified, when asked for."""

    def __init__(self, artifact: Artifact, storage: Storage) -> None:
        self.name = artifact.name
        self.size_bytes = artifact.object.size_bytes
        self.format = artifact.object.format
        self._object = artifact.object
        self._storage = storage

    def __repr__(self) -> str:
        return f"<{one_line(self.name)}: {one_line(self.format)}, {self.size_bytes:,} bytes>"

    def read_bytes(self) -> bytes:
        """Return the content.

        Raises:
            NotFound, CorruptObject, ServiceUnavailable: as for `Storage.get_bytes`.
        """
        return self._storage.get_bytes(self._object)

    def save(self, path: str | Path) -> Path:
        """Write a copy to ``path`` (a file, or a directory that exists) and return where it is.

        Raises:
            InvalidRequest: ``path`` is a directory, and the artifact's name is none for a file in it.
        """
        target = Path(path)
        if target.is_dir():
            if not is_file_name(self.name):  # written by another program, or into the record by hand
                raise InvalidRequest(
                    f"the artifact {self.name!r} has no name for a file", "name the file: save('copy.bin')"
                )
            target /= Path(self.name).name
        with self._storage.local_path(self._object) as source:
            shutil.copyfile(source, target)
        return target

    def load(self) -> Any:
        """Return what the job logged: a DataFrame, an object, text, or bytes where it is none of these."""
        from mltemporal.model_files import load_object

        return load_object(self._object, self._storage)


class Artifacts(Mapping[str, StoredFile]):
    """The files of a job, by name."""

    def __init__(self, files: list[StoredFile]) -> None:
        self._files = {file.name: file for file in files}

    def __getitem__(self, name: str) -> StoredFile:
        if name not in self._files:
            raise NotFound(f"the job left no artifact {name!r}", f"it left {sorted(self._files) or 'none'}")
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"Artifacts({list(self._files.values())})"


@dataclass(frozen=True, kw_only=True)
class TrainingResult(specs.TrainingResult):
    """The result of a training: ``metrics``, ``attempts``, ``duration_s``, and what it left in storage."""

    artifacts: Artifacts = field(repr=False)
    storage: Storage = field(repr=False, compare=False)

    @cached_property
    def model(self) -> Any:
        """The fitted model, loaded on first use; None where the job saved none."""
        if self.model_ref is None:
            return None
        from mltemporal.model_files import load_model

        return load_model(self.model_ref, self.storage)

    @cached_property
    def value(self) -> Any:
        """What the function returned, when it was no model; loaded on first use."""
        if self.value_ref is None:
            return None
        from mltemporal.model_files import load_object

        return load_object(self.value_ref, self.storage)

    def __repr__(self) -> str:
        metrics = ", ".join(f"{one_line(name)}={value:.4g}" for name, value in self.metrics.items())
        parts = [f"job {self.job_id}", *([metrics] if metrics else [])]
        if self.model_ref is not None:
            parts.append(f"model={one_line(self.model_ref.label)}")
        if self.value_ref is not None:
            parts.append("value=…")
        if self.artifacts:
            parts.append(f"artifacts={list(self.artifacts)}")
        tries = "" if self.attempts == 1 else f", {self.attempts} attempts"
        return f"TrainingResult({'; '.join(parts)}; {self.duration_s:.1f} s{tries})"


@dataclass(frozen=True, kw_only=True)
class PreprocessingResult(specs.PreprocessingResult):
    """The result of a preprocessing: ``metrics`` (rows in and out), and the datasets that it registered."""

    session: Session = field(repr=False, compare=False)

    @property
    def dataset(self) -> Dataset:
        """The new dataset.

        Raises:
            InvalidRequest: it was split.
        """
        return self._part("dataset")

    @property
    def train(self) -> Dataset:
        """The training part.

        Raises:
            InvalidRequest: it was not split.
        """
        return self._part("train")

    @property
    def test(self) -> Dataset:
        """The held-out part.

        Raises:
            InvalidRequest: it was not split.
        """
        return self._part("test")

    def _part(self, part: str) -> Dataset:
        from mltemporal.tables import Dataset

        if part not in self.dataset_ids:
            raise InvalidRequest(
                f"job {self.job_id} made no {part!r}", f"it made {' and '.join(map(repr, self.dataset_ids))}"
            )
        return Dataset(self.session, self.session.database.datasets.get(self.dataset_ids[part]))

    def __repr__(self) -> str:
        facts = ", ".join(f"{one_line(name)}={value:,.0f}" for name, value in self.metrics.items())
        made = " and ".join(sorted(map(one_line, self.dataset_ids), reverse=True))  # train before test
        return f"PreprocessingResult(job {self.job_id}; {facts}; made {made}; {self.duration_s:.1f} s)"


@dataclass(frozen=True, kw_only=True)
class InferenceResult(specs.InferenceResult):
    """The result of a batch inference: ``rows``, ``uri`` (parquet files and their manifest), `frame`."""

    storage: Storage = field(repr=False, compare=False)

    def frame(self, limit: int | None = None) -> pd.DataFrame:
        """Return the first ``limit`` rows, or all, as a DataFrame in the input's order.

        It has the columns that were kept, then ``prediction`` and, if asked for, probabilities.

        Raises:
            InvalidDataset: the files are gone or damaged.
            ServiceUnavailable: S3 does not answer.
        """
        from mltemporal.dataset.loading import to_pandas
        from mltemporal.dataset.reading import read_files

        return to_pandas(read_files(self.uri, limit))

    @cached_property
    def drift(self) -> Drift | None:
        """How inputs and predictions differ from the training data; None where that is not known."""
        if self.drift_ref is None:
            return None
        from mltemporal.profiling.drift import Drift

        return decode(self.storage.get_bytes(self.drift_ref), Drift)

    def __repr__(self) -> str:
        drifted = f"; drifted: {', '.join(map(one_line, self.drifted))}" if self.drifted else ""
        return (
            f"InferenceResult(job {self.job_id}; {self.rows:,} rows at {one_line(self.uri)}{drifted}; "
            f"{self.duration_s:.1f} s)"
        )
