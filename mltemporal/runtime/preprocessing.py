"""A preprocessing: profile what came in, fit what needs all rows, apply by shards, profile what came out.

What is done is noted in storage (``profile``, ``fitted``, a note a shard), so that another attempt goes
on where this one ended.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mltemporal.dataset.files import Files, find_files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.shards import opened_dataset, plan_shards
from mltemporal.errors import CorruptObject, InvalidDataset
from mltemporal.runtime import reporting, sharding
from mltemporal.runtime.context import STORAGE_PATIENCE_S, Job
from mltemporal.specs.data import Column, DatasetRef, ObjectRef, Shard
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.request import PreparationSpec
from mltemporal.specs.results import MadeDataset, Prepared, RunOutput
from mltemporal.storage.output import MANIFEST, Output

if TYPE_CHECKING:
    from mltemporal.preparation.fitted import Fitted
    from mltemporal.profiling.profiles import Profile

_MEMORY_MIB = 768
"""What the engine may hold in one process before it spills to disk."""


def run(job: Job) -> RunOutput | None:
    """Preprocess, and return what was made; None on all ranks but the first.

    Raises:
        InvalidDataset: a row does not parse, or what came out is not as expected.
        InvalidRequest: the output is taken.
    """
    from mltemporal.preparation.plan import Plan

    spec = _spec(job)
    with opened_dataset(job.spec.dataset, job.storage) as files:
        if not Plan.load(spec.plan, job.storage).steps and not spec.output:
            return _looked_at(job, files) if job.rank == 0 else None
        shards = plan_shards(files, shards=spec.shards)
        if job.rank == 0:
            _output(job).claim(job.key, overwrite=spec.overwrite)
            if job.generation("validated", "fitted"):
                _output(job).remove(MANIFEST)  # what is made anew is not complete
            profile = _once(job, "profile", "profiling the dataset", lambda: _profile(job, files))
            fitted = _once(job, "fitted", "fitting the steps", lambda: _fit(job, files, shards))
        else:
            fitted = sharding.await_note(job, _noted(job, "fitted"), ObjectRef)
        reporting.stage("applying the steps")
        rows = job.spec.dataset.rows if job.spec.dataset.rows >= 0 else None
        phase = f"shards{job.generation('validated', 'fitted')}"
        done = sharding.run_shards(job, shards, f"{__name__}:apply", total_rows=rows, phase=phase)
    if job.rank:
        return None
    _check_whole(job, fitted, shards)
    made = tuple(_made(job, part, done) for part in _loaded(job, fitted).plan.parts)
    _finish(job, made, done)
    metrics = {"rows_in": float(sum(each["rows"] for each in done))}
    metrics |= {"rows_out": float(sum(each.ref.rows for each in made))}
    if len(made) > 1:
        metrics |= {f"rows_{each.part}": float(each.ref.rows) for each in made}
    return RunOutput(
        metrics=metrics,
        notes=reporting.notes(),
        prepared=Prepared(datasets=made, pipeline=fitted, profile=profile),
    )


def _looked_at(job: Job, files: Files) -> RunOutput:
    """Only profile and check: without steps the dataset is what came in, and nothing is copied."""
    profile = _once(job, "profile", "profiling the dataset", lambda: _profile(job, files))
    _check_expectations(job, files, "dataset")
    rows = decode(job.storage.get_bytes(profile), _Rows).rows
    ref = replace(job.spec.dataset, rows=rows, name=job.spec.name)
    made = MadeDataset(part="dataset", ref=ref, profile=profile)
    return RunOutput(
        metrics={"rows_in": float(rows), "rows_out": float(rows)},
        notes=reporting.notes(),
        prepared=Prepared(datasets=(made,), profile=profile),
    )


@dataclass(frozen=True)
class _Rows:
    """What is asked of a profile here."""

    rows: int


def apply(job: Job, shard: Shard) -> dict[str, Any]:
    """Apply the fitted steps to a shard, and write a parquet file for each part."""
    from mltemporal.preparation.applying import apply_shard

    ref = job.storage.get_note(job.key, _noted(job, "fitted"), ObjectRef)
    assert ref is not None
    fitted, output = _loaded(job, ref), _output(job)
    output.check_owner(job.key)
    with ExitStack() as stack:
        files = sharding.dataset_of(job)
        scratch = stack.enter_context(_scratch())
        paths = {
            part: stack.enter_context(output.writing(_name(part, shard.index))) for part in fitted.plan.parts
        }
        rows = apply_shard(
            fitted,
            files,
            shard,
            paths,
            memory_mib=_MEMORY_MIB,
            threads=sharding.threads(),
            scratch=scratch,
        )
    return {"rows": rows.pop("rows_in"), "made": rows}


def _spec(job: Job) -> PreparationSpec:
    assert job.spec.preparation is not None
    return job.spec.preparation


def _output(job: Job) -> Output:
    url = _spec(job).output or f"{job.storage.url}/datasets/{job.key}"
    return Output(url, patience_s=STORAGE_PATIENCE_S, scratch=os.environ.get("MLTEMPORAL_SCRATCH"))


def _name(part: str, index: int) -> str:
    name = f"part-{index:07d}.parquet"
    return name if part == "dataset" else f"{part}/{name}"


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """The attempt's own folder, where the launcher gives one: it goes with the attempt, however that ends."""
    return tempfile.TemporaryDirectory(
        prefix="mltemporal-preprocess-", dir=os.environ.get("MLTEMPORAL_SCRATCH")
    )


def _noted(job: Job, name: str) -> str:
    """Return the note's name: none of what a rewind has undone."""
    return f"{name}{job.generation('validated')}"


def _once(job: Job, name: str, stage: str, make: Callable[[], ObjectRef]) -> ObjectRef:
    """Return what an earlier attempt has made, or make it."""
    name = _noted(job, name)
    ref = job.storage.get_note(job.key, name, ObjectRef)
    if ref is None:
        reporting.stage(stage)
        ref = make()
        job.storage.put_note(job.key, name, ref)
    return ref


def _profile(job: Job, files: Files) -> ObjectRef:
    found = _profiled(job, files)
    for warning in found.warnings:
        reporting.note(warning)
    return _stored(job, found)


def _profiled(job: Job, files: Files) -> Profile:
    from mltemporal.profiling.measuring import profile

    there = job.spec.target in shape_of(files, count=False).schema.names  # or the steps will make it
    with _scratch() as scratch:
        return profile(
            files,
            target=job.spec.target if there else None,
            memory_mib=_MEMORY_MIB,
            threads=sharding.cores(job),
            scratch=scratch,
        )


def _stored(job: Job, profile: Profile) -> ObjectRef:
    return job.storage.put_bytes(encode(profile).encode(), format="json")


def _fit(job: Job, files: Files, shards: Sequence[Shard]) -> ObjectRef:
    from mltemporal.preparation.fitting import fit
    from mltemporal.preparation.plan import Plan

    plan = Plan.load(_spec(job).plan, job.storage)
    with _scratch() as scratch:
        fitted = fit(
            plan,
            files,
            shards,
            scratch=scratch,
            memory_mib=_MEMORY_MIB,
            threads=sharding.cores(job),
        )
        for note in fitted.notes:
            reporting.note(note)
        return fitted.store(job.storage)


@lru_cache(maxsize=1)
def _loaded(job: Job, ref: ObjectRef) -> Fitted:
    """The fitted steps, loaded once a process."""
    from mltemporal.preparation.fitted import Fitted

    return Fitted.load(ref, job.storage)


def _made(job: Job, part: str, done: Sequence[dict[str, Any]]) -> MadeDataset:
    """Look at a part that was written whole: its files, its profile, and whether it is as expected.

    Raises:
        InvalidDataset: it has no rows, or is not as expected.
    """
    rows = sum(each["made"][part] for each in done)
    if not rows:
        raise InvalidDataset(
            f"no rows are left in the {part}" if part == "dataset" else f"no rows are left in {part!r}",
            "loosen the steps that remove rows, or the share of the split",
        )
    url = _output(job).url if part == "dataset" else f"{_output(job).url}/{part}"
    files = find_files(url)
    reporting.stage(f"profiling the {part if part == 'dataset' else part + ' part'}")
    profile = _stored(job, _profiled(job, files))
    _check_expectations(job, files, part)
    columns = tuple(Column(name=field.name, type=str(field.type)) for field in shape_of(files).schema)
    name = job.spec.name if part == "dataset" else f"{job.spec.name}-{part}"
    ref = DatasetRef(
        fingerprint=files.fingerprint,
        rows=rows,
        columns=columns,
        uri=url,
        name=name,
        target=job.spec.target if job.spec.target in {column.name for column in columns} else None,
    )
    return MadeDataset(part=part, ref=ref, profile=profile)


def _check_expectations(job: Job, files: Files, part: str) -> None:
    from mltemporal.profiling.meeting import broken_expectations

    with _scratch() as scratch:
        broken = broken_expectations(
            _spec(job).expectations,
            files,
            memory_mib=_MEMORY_MIB,
            threads=sharding.cores(job),
            scratch=scratch,
        )
    if broken:
        raise InvalidDataset(
            f"the {part} is not as expected: {'; '.join(broken)}", "mend the data or the expectations"
        )


def _check_whole(job: Job, fitted: ObjectRef, shards: Sequence[Shard]) -> None:
    """Refuse to call an output whole of which something was removed after it was written."""
    output = _output(job)
    output.check_owner(job.key)
    output.tidy()
    there = set(output.names())
    parts = _loaded(job, fitted).plan.parts
    if gone := [
        name for part in parts for shard in shards if (name := _name(part, shard.index)) not in there
    ]:
        raise CorruptObject(
            f"of the output {output.url!r} {len(gone):,} files were removed after they were written: "
            f"{', '.join(map(repr, gone[:3]))}",
            "run the job anew, with force=True",
        )


def _finish(job: Job, made: Sequence[MadeDataset], done: Sequence[dict[str, Any]]) -> None:
    """Write the manifest: its presence says that the output is complete."""
    manifest = {
        "job": job.key,
        "steps": _spec(job).steps,
        "source": job.spec.dataset.fingerprint,
        "parts": {each.part: {"rows": each.ref.rows, "files": len(done)} for each in made},
    }
    _output(job).write_text(MANIFEST, encode(manifest))
