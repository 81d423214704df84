"""A preprocessing: profile what came in, fit what needs all rows, apply shard by shard, profile what came out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltemporal import specs
from mltemporal.dataset.files import find_files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.shards import opened_dataset, plan_shards
from mltemporal.errors import InvalidDataset
from mltemporal.runtime import reporting, sharding
from mltemporal.runtime.context import Job
from mltemporal.specs import (
    Column,
    DatasetRef,
    MadeDataset,
    ObjectRef,
    PreparationSpec,
    Prepared,
    RunOutput,
    Shard,
)
from mltemporal.storage.output import Output

if TYPE_CHECKING:
    from mltemporal.dataset.files import Files
    from mltemporal.preparation import Fitted

_MEMORY_MIB = 768
"""What the engine may hold in one process before it spills to disk."""


def run(job: Job) -> RunOutput | None:
    """Preprocess; returns what was made, on the first of several ranks.

    What is done is noted in storage (``profile``, ``fitted``, a note a shard), so that another attempt
    goes on where this one ended.
    """
    spec = _spec(job)
    with opened_dataset(job.spec.dataset, job.storage) as files, _scratch() as scratch:
        shards = plan_shards(files, shards=spec.shards)
        if job.rank == 0:
            profile = _once(job, "profile", lambda: _profile(job, files, scratch))
            fitted = _once(job, "fitted", lambda: _fit(job, files, shards, scratch))
        else:
            sharding.await_note(job, "fitted")
        rows = job.spec.dataset.rows if job.spec.dataset.rows >= 0 else None
        reporting.stage("applying the steps")
        done = sharding.run_shards(job, shards, "mltemporal.runtime.preprocessing:apply", total_rows=rows)
        if job.rank:
            return None
        made = _made(job, done, scratch)
    rows_in = sum(each["rows"] for each in done)
    metrics = {"rows_in": float(rows_in), "rows_out": float(sum(each.ref.rows for each in made))}
    if len(made) > 1:
        metrics |= {f"rows_{each.part}": float(each.ref.rows) for each in made}
    return RunOutput(
        metrics=metrics,
        notes=reporting.notes(),
        prepared=Prepared(datasets=made, pipeline=fitted, profile=profile),
    )


def apply(job: Job, shard: Shard) -> dict[str, Any]:
    """Apply the fitted steps to a shard and write a parquet file for each part."""
    from mltemporal.preparation import apply_shard

    fitted = _fitted(job)
    with ExitStack() as stack:
        files = stack.enter_context(opened_dataset(job.spec.dataset, job.storage))
        scratch = stack.enter_context(_scratch())
        paths = {
            part: stack.enter_context(_output(job, part).writing(_part_name(shard))) for part in _parts(job)
        }
        made = apply_shard(
            fitted,
            files,
            shard,
            paths,
            memory_mib=_MEMORY_MIB,
            threads=sharding.threads(),
            scratch=scratch,
        )
    return {"rows": made.pop("rows_in"), "made": made}


def _spec(job: Job) -> PreparationSpec:
    assert job.spec.preparation is not None
    return job.spec.preparation


def _part_name(shard: Shard) -> str:
    return f"part-{shard.index:05d}.parquet"


def _parts(job: Job) -> tuple[str, ...]:
    return _fitted(job).plan.parts


def _output(job: Job, part: str) -> Output:
    spec = _spec(job)
    base = spec.output or f"{job.storage.url}/datasets/{job.key}"
    return Output(base if part == "dataset" else f"{base}/{part}")
