"""One shard of a batch inference: read in batches, predicted, written as one parquet file."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from mltemporal.code.versions import check_versions
from mltemporal.dataset.shards import BATCH_ROWS, shard_batches
from mltemporal.model_files import load_model
from mltemporal.runtime import drift, sharding
from mltemporal.runtime.context import STORAGE_PATIENCE_S, Job
from mltemporal.runtime.predicting import features_in, predictions
from mltemporal.specs.data import Shard
from mltemporal.specs.request import InferenceSpec
from mltemporal.storage.hashing import sha256_of
from mltemporal.storage.output import Output

_SETUP = "scoring"
"""The note by which the first rank says that the output is claimed, and what all shards need."""

_CELLS = 8 << 20
"""Most values in a batch: a wide table comes in fewer rows at a time."""


def setup_note(job: Job) -> str:
    """Return the note's name in this run of the job: not that of one which a rewind has undone."""
    return f"{_SETUP}{job.generation('validated')}"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is found out once and holds for every shard."""

    shards: int
    """How many there are."""
    csv_types: str = ""
    """The columns of CSV files: arrow's schema, serialized, in base64."""

    def part(self, shard: Shard) -> str:
        """Return the name of the shard's file."""
        digits = max(5, len(str(self.shards - 1)))  # so that names sort as the rows do
        return f"part-{shard.index:0{digits}d}.parquet"


def inference_of(job: Job) -> InferenceSpec:
    """Return what the job is to score, and with what."""
    assert job.spec.inference is not None
    return job.spec.inference


def output_of(job: Job) -> Output:
    """Return where the predictions go."""
    url = inference_of(job).output or f"{job.storage.url.rstrip('/')}/predictions/{job.key}"
    return Output(url, patience_s=STORAGE_PATIENCE_S, scratch=os.environ.get("MLTEMPORAL_SCRATCH"))


def score_shard(job: Job, shard: Shard) -> dict[str, Any]:
    """Score a shard and write its part: the kept columns, ``prediction`` and probabilities, in row order.

    Streams, so that memory is bounded by a batch. Idempotent: the part is replaced whole.

    Raises:
        InvalidDataset: a column is missing, or a file is gone or does not parse.
        ServiceUnavailable: storage does not answer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec, setup = inference_of(job), _setup(job)
    sample = drift.ShardSample(spec, shard, setup.shards)
    rows = 0
    batches = iter(_batches(job, shard))
    first = next(batches, None)
    if first is None:  # a CSV file with a header only
        return {"rows": 0, "part": "", "bytes": 0, "sha256": "", **sample.result(job)}
    output = output_of(job)
    output.check_owner(job.key)
    with output.writing(setup.part(shard)) as path:
        with ExitStack() as stack:
            writer = None
            for batch in chain([first], batches):
                scored = score(job, batch)
                sample.add(scored.features, scored.predictions)
                kept = [batch.column(name) for name in spec.keep]
                table = pa.table([*kept, *scored.predictions.values()], [*spec.keep, *scored.predictions])
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd"))
                writer.write_table(table.cast(writer.schema))
                rows += table.num_rows
                sharding.advance(table.num_rows)
        result = {"rows": rows, "part": setup.part(shard), "bytes": path.stat().st_size}
        result["sha256"] = sha256_of(path)
    return {**result, **sample.result(job)}


@dataclass(frozen=True)
class Scored:
    """A batch and what the model says of it."""

    features: Any
    """The columns that the model was given, a ``pyarrow.Table``."""
    predictions: dict[str, Any]
    """Arrow arrays by the name of their column."""


def score(job: Job, batch: Any) -> Scored:
    """Return what the model says of a batch, prepared as the rows were that it was trained on."""
    spec = inference_of(job)
    pipeline = _pipeline(job)
    table = batch
    if pipeline is not None:
        from mltemporal.preparation.transforming import transform

        table = transform(pipeline, batch)
    frame = features_in(table.to_pandas(), spec.model.features, spec.model.target)
    return Scored(
        features=table.select([name for name in frame.columns if name in table.schema.names]),
        predictions=predictions(model_of(job), frame, probabilities=spec.probabilities),
    )


@lru_cache(maxsize=1)
def model_of(job: Job) -> Any:
    """Return the model, verified and loaded once a process.

    Raises:
        VersionMismatch: it was made with versions that cannot load here; nothing was unpickled.
        NotFound, CorruptObject: storage has no such model.
    """
    model = inference_of(job).model
    check_versions(job.spec.trainer.versions, f"the model {model.label!r} was made")
    return load_model(model, job.storage)


def needed_columns(job: Job) -> list[str] | None:
    """Return which columns are read; None: all, since steps or the model may need any."""
    spec = inference_of(job)
    if spec.pipeline is not None or not spec.model.features:
        return None
    return list(dict.fromkeys([*spec.keep, *spec.model.features]))


def packed(types: dict[str, Any]) -> str:
    """Return arrow types by name as text."""
    import pyarrow as pa

    return base64.b64encode(pa.schema(list(types.items())).serialize()).decode()


@lru_cache(maxsize=1)
def _setup(job: Job) -> Setup:
    return sharding.await_note(job, setup_note(job), Setup)


@lru_cache(maxsize=1)
def _pipeline(job: Job) -> Any:
    ref = inference_of(job).pipeline
    if ref is None:
        return None
    from mltemporal.preparation.fitted import Fitted

    return Fitted.load(ref, job.storage)


def _batches(job: Job, shard: Shard) -> Iterator[Any]:
    import pyarrow as pa

    types, text = None, _setup(job).csv_types
    if text:
        types = {field.name: field.type for field in pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))}
    columns = needed_columns(job)
    width = len(columns) if columns is not None else len(job.spec.dataset.columns)
    rows = min(BATCH_ROWS, max(1024, _CELLS // max(1, width)))
    files = sharding.dataset_of(job)
    yield from _filled(shard_batches(files, shard, columns=columns, batch_rows=rows, types=types), rows)


def _filled(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Put small batches together: a model is slow on many small ones, and so is who reads the part."""
    import pyarrow as pa

    waiting: list[Any] = []
    for batch in batches:
        if waiting and sum(each.num_rows for each in waiting) + batch.num_rows > rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)
