"""Batch inferences run in this process, and a model that may be told to wait, to fail or to die."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from mltemporal.dataset.checking import inspect
from mltemporal.model_files import save_model
from mltemporal.runtime import context, inference
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.specs.data import DatasetRef, ModelRef
from mltemporal.specs.request import InferenceSpec, JobSpec, Resources, TrainerRef
from mltemporal.storage.content import Storage

KEY = "score-1"


@dataclass
class Scorer:
    """Asks for batch inferences and runs them in this process."""

    storage: Storage
    folder: Path
    cpu: float | None = None
    key: str = KEY

    @property
    def output(self) -> Path:
        return self.folder / "scores"

    def model(self, model: Any, features: tuple[str, ...] = (), target: str | None = "y") -> ModelRef:
        return save_model(
            model, self.storage, label=type(model).__name__, task=None, target=target, features=features
        )

    def dataset(self, source: object) -> DatasetRef:
        return inspect(source, needs_features=False).store(self.storage)

    def ask(self, model: ModelRef, dataset: DatasetRef, **options: Any) -> Job:
        spec = JobSpec(
            key=KEY,
            name="scores",
            kind="inference",
            dataset=dataset,
            trainer=TrainerRef(kind="model", label=model.label),
            resources=Resources(cpu=self.cpu),
            inference=InferenceSpec(model=model, **{"output": str(self.output), **options}),
        )
        self.storage.put_note(KEY, "spec", spec)
        return Job(self.storage, KEY, 1)

    def score(self, model: ModelRef, source: object, **options: Any) -> pd.DataFrame:
        job = self.ask(model, self.dataset(source), **options)
        context.enter(job)
        self.result = inference.run(job)
        return self.scores()

    def scores(self) -> pd.DataFrame:
        parts = [pd.read_parquet(part) for part in sorted(self.output.glob("part-*.parquet"))]
        return pd.concat(parts, ignore_index=True)

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.output / "_manifest.json").read_text())
        return manifest


@pytest.fixture
def scorer(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scorer:
    monkeypatch.setenv(JOB_VARIABLE, "")
    return Scorer(storage, tmp_path)


@pytest.fixture
def frame() -> pd.DataFrame:
    n = np.arange(60)
    return pd.DataFrame(
        {"id": n, "a": n / 2, "b": n % 7, "city": np.where(n % 2, "Oslo", "Rome"), "y": n * 3.0}
    )


@pytest.fixture
def fitted(scorer: Scorer, frame: pd.DataFrame) -> ModelRef:
    """Predicts ``y`` of ``frame`` exactly."""
    return scorer.model(LinearRegression().fit(frame[["a", "b"]], frame["y"]), ("a", "b"))


MODEL = """
import os, pathlib, signal, time
import pandas as pd

FOLDER = pathlib.Path(os.environ["MODEL_FOLDER"])

class ByHand:
    def predict(self, rows):
        first = rows["id"].min()
        (FOLDER / f"at-{first}").touch()
        if (FOLDER / f"die-at-{first}").exists():
            (FOLDER / f"die-at-{first}").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        while (FOLDER / f"wait-at-{first}").exists():
            time.sleep(0.01)
        if (FOLDER / f"fail-at-{first}").exists():
            raise ValueError(f"row {first} is odd")
        if "short" in rows:
            return [0]
        return pd.DataFrame({0: rows["id"].astype(str).map(lambda n: str(int(n) * 3)), 1: " ".join(rows)})
"""


@pytest.fixture
def by_hand(scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    """Predicts three times ``id`` and which columns it saw; may be told to wait, fail or die at a row."""
    (tmp_path / "model_by_hand.py").write_text(MODEL)
    monkeypatch.setenv("MODEL_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "model_by_hand", raising=False)
    model = importlib.import_module("model_by_hand").ByHand()
    return scorer.model(model)
