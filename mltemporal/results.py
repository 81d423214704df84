"""What a finished job left behind, within reach: the result, its model, its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mltemporal import specs
from mltemporal.errors import NotFound
from mltemporal.specs import Artifact
from mltemporal.storage import Storage


class StoredFile:
    """One file that a job left behind; its bytes are read, and verified, when asked for."""

    def __init__(self, artifact: Artifact, storage: Storage) -> None:
        self.name = artifact.name
        self.size_bytes = artifact.object.size_bytes
        self.format = artifact.object.format
        self._object = artifact.object
        self._storage = storage

    def __repr__(self) -> str:
        return f"<{self.name}: {self.format}, {self.size_bytes:,} bytes>"

    def read_bytes(self) -> bytes:
        """Return the content.

        Raises:
            NotFound, CorruptObject, ServiceUnavailable: as for `Storage.get_bytes`.
        """
        return self._storage.get_bytes(self._object)

    def save(self, path: str | Path) -> Path:
        """Write a copy to ``path`` (a file, or a directory that exists) and return where it is."""
        target = Path(path)
        if target.is_dir():
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
        metrics = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items())
        parts = [f"job {self.job_id}", *([metrics] if metrics else [])]
        if self.model_ref is not None:
            parts.append(f"model={self.model_ref.label}")
        if self.value_ref is not None:
            parts.append("value=…")
        if self.artifacts:
            parts.append(f"artifacts={list(self.artifacts)}")
        tries = "" if self.attempts == 1 else f", {self.attempts} attempts"
        return f"TrainingResult({'; '.join(parts)}; {self.duration_s:.1f} s{tries})"
