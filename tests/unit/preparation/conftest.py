"""A dataset prepared from its steps to the written parts, as a job does it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal.dataset.files import find_files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.shards import plan_shards
from mltemporal.preparation.applying import apply_shard
from mltemporal.preparation.checking import parse_steps
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.fitting import fit
from mltemporal.preparation.plan import Plan
from mltemporal.specs.data import Column
from mltemporal.storage.content import Storage


@dataclass
class Made:
    """What came out."""

    fitted: Fitted
    parts: dict[str, pa.Table]
    files: dict[str, list[Path]]
    rows: list[dict[str, int]]

    def frame(self, part: str = "dataset") -> pd.DataFrame:
        return self.parts[part].to_pandas()


Prepare = Callable[..., Made]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def prepare(tmp_path: Path, folder: Path) -> Prepare:
    """Prepare files, or a frame that is written as parquet first; every shard is written by itself."""
    return preparing(tmp_path, folder)


@pytest.fixture(scope="module")
def prepare_once(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """The same, for what several tests look at."""
    return preparing(tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("data"))


def preparing(tmp_path: Path, folder: Path) -> Prepare:
    """Return what prepares frames in ``folder``, with all its files below ``tmp_path``."""

    def prepare(
        source: Any, steps: Any, *, rows: int = 40, shards: int = 1, threads: int = 1, **options: Any
    ) -> Made:
        if isinstance(source, pd.DataFrame):
            source = pa.Table.from_pandas(source, preserve_index=False)
        if isinstance(source, pa.Table):
            pq.write_table(source, folder / "a.parquet", row_group_size=rows)
            source = folder
        files = find_files(str(source))
        schema = shape_of(files, count=False).schema
        columns = [Column(name=field.name, type=str(field.type)) for field in schema]
        storage = Storage(str(tmp_path / "storage"))
        plan = Plan.load(parse_steps(steps, columns=columns, **options).store(storage), storage)
        planned = plan_shards(files, shards=shards)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        stored = fit(plan, files, planned, scratch=str(scratch), threads=threads).store(storage)
        shutil.rmtree(scratch)
        scratch.mkdir()
        fitted = Fitted.load(stored, storage)
        made = Made(fitted, {}, {part: [] for part in plan.parts}, [])
        for shard in planned:
            paths = {part: tmp_path / f"{part}-{shard.index}.parquet" for part in plan.parts}
            made.rows.append(apply_shard(fitted, files, shard, paths, scratch=str(scratch)))
            for part, path in paths.items():
                made.files[part].append(path)
        made.parts = {
            part: pa.concat_tables([pq.read_table(path) for path in paths])
            for part, paths in made.files.items()
        }
        return made

    return prepare
