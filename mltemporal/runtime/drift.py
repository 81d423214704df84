"""Whether what is scored is still like what the model was trained on: its columns, and its predictions.

Shards keep a few of their rows as they score them; the first rank puts these together and compares
them with as many rows of the training data, scored by the same model. Scoring never fails for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mltemporal.dataset.shards import opened_dataset, plan_shards, shard_batches
from mltemporal.runtime import reporting
from mltemporal.runtime.context import Job
from mltemporal.runtime.predicting import PROBABILITY, is_taken
from mltemporal.specs.data import Column, DatasetRef, ObjectRef, Shard
from mltemporal.specs.encoding import converted, decode, encode
from mltemporal.specs.request import InferenceSpec

if TYPE_CHECKING:
    from mltemporal.profiling.sketches import Sketch, SketchBuilder

REFERENCE_SHARDS = 8
"""So many parts of the training data are looked at, spread evenly."""
SAMPLED_SHARDS = 256
"""So many shards keep rows of theirs, spread evenly."""

_SPARE = 4
"""A shard keeps more than its share of the rows: chance gives some more than others."""
_LEAST_KEPT = 64
_NAMED = 100
_READERS = 16


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the comparison found."""

    object: ObjectRef | None = None
    moved: tuple[str, ...] = ()


class ShardSample:
    """What one of ``shards`` shards adds to the comparison."""

    def __init__(self, inference: InferenceSpec, shard: Shard, shards: int) -> None:
        self._reference = inference.reference
        self._shard = shard
        self._sampled = min(shards, SAMPLED_SHARDS)
        self._wanted = self._reference is not None and shard.index % -(-shards // SAMPLED_SHARDS) == 0
        self._builder: SketchBuilder | None = None
        self._limit = 0
        self._trouble = ""

    def add(self, features: Any, predictions: dict[str, Any]) -> None:
        """Look at the rows that the model was given (a ``pyarrow.Table``), and at what it said."""
        if not self._wanted or self._trouble:
            return
        try:
            table = _beside(features, predictions)
            if self._builder is None:
                self._builder = self._begin(table)
            self._builder.add(table)
        except Exception as error:
            self._trouble = _said(error)

    def _begin(self, table: Any) -> SketchBuilder:
        from mltemporal.profiling.sketches import SketchBuilder, rows_kept

        assert self._reference is not None
        columns = _columns(table, self._reference)
        self._limit = rows_kept(len(columns))
        rows = min(self._limit, max(_LEAST_KEPT, _SPARE * self._limit // self._sampled))
        return SketchBuilder(columns, rows=rows, stream=self._shard.index)

    def result(self, job: Job) -> dict[str, Any]:
        """Return what goes into the shard's note."""
        if self._trouble:
            return {"sketch_trouble": self._trouble}
        if self._builder is None:
            return {}
        # The whole is to have as many rows as one sketch has, whatever its parts could keep.
        sketch = replace(self._builder.sketch(), limit=self._limit)
        return {"sketch": job.storage.put_bytes(encode(sketch).encode(), format="json")}


def compared(job: Job, model: Callable[[], Any], results: Sequence[dict[str, Any]]) -> Compared:
    """Compare what was scored with what the model was trained on; where that fails, a note says why."""
    inference = job.spec.inference
    if inference is None or inference.reference is None:
        return Compared()
    reporting.stage("comparing with the training data")
    try:
        return _compared(job, inference, model, results)
    except Exception as error:
        reporting.note(f"drift was not looked at: {_said(error)}")
        return Compared()


def _compared(
    job: Job, inference: InferenceSpec, model: Callable[[], Any], results: Sequence[dict[str, Any]]
) -> Compared:
    from mltemporal.profiling.drift import compare
    from mltemporal.profiling.sketches import merge

    if trouble := next((each["sketch_trouble"] for each in results if "sketch_trouble" in each), ""):
        raise RuntimeError(trouble)
    current = merge(_sketches(job, results))
    if not current.columns:
        return Compared()
    drift = compare(_reference(job, inference, model), current)
    if drift.moved:
        names = ", ".join(map(repr, drift.moved[:8])) + (" and more" if len(drift.moved) > 8 else "")
        reporting.note(f"moved away from the training data: {names}")
    stored = job.storage.put_bytes(encode(drift).encode(), format="json")
    return Compared(object=stored, moved=drift.moved[:_NAMED])


def _sketches(job: Job, results: Sequence[dict[str, Any]]) -> list[Sketch]:
    from mltemporal.profiling.sketches import Sketch

    refs = [converted(each["sketch"], ObjectRef) for each in results if "sketch" in each]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda ref: decode(job.storage.get_bytes(ref), Sketch), refs))


def _reference(job: Job, inference: InferenceSpec, model: Callable[[], Any]) -> Sketch:
    """Return the sketch of the training data; an earlier attempt may have made it."""
    from mltemporal.profiling.sketches import Sketch, SketchBuilder

    assert inference.reference is not None
    sketch = job.storage.get_note(job.key, "reference", Sketch)
    if sketch is None:
        table = _sample(job, inference.reference)
        features, predictions = _scored(inference, model(), table)
        beside = _beside(features, predictions)
        builder = SketchBuilder(_columns(beside, inference.reference))
        builder.add(beside)
        sketch = builder.sketch()
        job.storage.put_note(job.key, "reference", sketch)
    return sketch


def _scored(inference: InferenceSpec, model: Any, table: Any) -> tuple[Any, dict[str, Any]]:
    """Return the model's features and answers for rows that are as it was trained on: not prepared again."""
    from mltemporal.runtime.predicting import features_in, predictions

    frame = features_in(table.to_pandas(), inference.model.features, inference.model.target)
    return table.select([name for name in frame.columns if name in table.schema.names]), predictions(
        model, frame, probabilities=False
    )


def _sample(job: Job, ref: DatasetRef) -> Any:
    """Return some rows of the training data as a table."""
    from mltemporal.profiling.sampling import RowSample
    from mltemporal.profiling.sketches import rows_kept

    sample = RowSample(rows_kept(len(ref.columns)))
    with opened_dataset(ref, job.storage) as files:
        shards = plan_shards(files)
        for shard in shards[:: -(-len(shards) // REFERENCE_SHARDS)]:
            for batch in shard_batches(files, shard):
                sample.add(batch)
    return sample.result()[1]


def _beside(features: Any, predictions: dict[str, Any]) -> Any:
    """Return predictions and features as one table; predictions first: of many columns the last are left."""
    import pyarrow as pa

    said = {name: column for name, column in predictions.items() if not name.startswith(f"{PROBABILITY}_")}
    names = [name for name in features.schema.names if not is_taken(name)]
    return pa.table([*said.values(), *(features.column(name) for name in names)], [*said, *names])


def _columns(table: Any, reference: DatasetRef) -> list[Column]:
    """Return the table's columns that the training data has too, by its types: the same in every shard."""
    types = {column.name: column.type for column in reference.columns}
    return [
        Column(name=field.name, type=str(field.type) if is_taken(field.name) else types[field.name])
        for field in table.schema
        if is_taken(field.name) or field.name in types
    ]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
