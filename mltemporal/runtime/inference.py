"""A batch inference: check that the rows fit the model, score them by shards, say when it is complete.

What is done is noted in storage, a note a shard, so that another attempt goes on where this one ended;
`scoring` does a shard. The manifest is written last: where it stands, every row was scored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mltemporal.dataset.files import Files, find_files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.schema import SchemaDifferences, check_schema, differences
from mltemporal.dataset.shards import csv_schema, plan_shards
from mltemporal.errors import CorruptObject, InvalidDataset, InvalidRequest
from mltemporal.runtime import drift, reporting, sharding, stopping
from mltemporal.runtime.context import Job
from mltemporal.runtime.predicting import check_probabilities, is_taken
from mltemporal.runtime.scoring import Setup, inference_of, model_of, output_of, packed, setup_note
from mltemporal.specs.data import Column, ObjectRef, Shard
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.results import RunOutput, Scored
from mltemporal.storage.output import MANIFEST

_WORK = "mltemporal.runtime.scoring:score_shard"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of predictions, as the manifest lists it."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an output holds; written last."""

    job: str
    created: str
    """UTC, ISO 8601."""
    source: str
    """The fingerprint of the dataset that was scored."""
    model: str
    model_sha256: str
    rows: int
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    """In the order of the dataset's rows."""
    drift: ObjectRef | None = None
    drifted: tuple[str, ...] = ()
    generation: str = ""
    """Of the job's run, where a rewind had it scored anew."""


def run(job: Job) -> RunOutput | None:
    """Score the dataset, and return what was made; None on all ranks but the first. Idempotent.

    Raises:
        InvalidDataset: the dataset does not fit the model, or cannot be read.
        InvalidRequest: the output is taken, or the model cannot do what is wanted.
        ServiceUnavailable: storage does not answer.
    """
    if job.rank == 0 and (manifest := _finished(job)) is not None:
        return _output(job, manifest)
    reporting.stage("loading the dataset")
    files = sharding.dataset_of(job)
    shards = plan_shards(files, shards=inference_of(job).shards)
    if job.rank == 0:
        _set_up(job, files, shards)
    else:
        sharding.await_note(job, setup_note(job), Setup)
    reporting.stage("scoring")
    total = sum(shard.rows for shard in shards)
    rows = total if total >= 0 else None
    phase = f"shards{job.generation('validated')}"
    results = sharding.run_shards(job, shards, _WORK, total_rows=rows, phase=phase)
    if job.rank:
        return None
    compared = drift.compared(job, lambda: model_of(job), results)
    reporting.stage("completing the output")
    stopping.raise_if_asked()
    return _output(job, _complete(job, results, compared))


def _finished(job: Job) -> Manifest | None:
    """Return the manifest where an attempt wrote it, and died before it could say so."""
    output = output_of(job)
    if output.owner() != job.key or (text := output.read_text(MANIFEST)) is None:
        return None
    manifest = decode(text, Manifest)
    return manifest if manifest.generation == job.generation("validated") else None


def _set_up(job: Job, files: Files, shards: Sequence[Shard]) -> None:
    """Check everything that can be, claim the output, and tell the other ranks to begin."""
    spec = inference_of(job)
    _check_columns(job)
    reporting.stage("loading the model")
    if spec.probabilities:
        check_probabilities(model_of(job))
    output_of(job).claim(job.key, overwrite=spec.overwrite)
    output_of(job).remove(MANIFEST)  # of an earlier run, that a rewind has undone
    if job.storage.get_note(job.key, setup_note(job), Setup) is None:
        types = ""
        if files.format == "csv":
            reporting.stage("looking at the types of the columns")
            types = packed(csv_schema(files))
        job.storage.put_note(job.key, setup_note(job), Setup(shards=len(shards), csv_types=types))


def _check_columns(job: Job) -> None:
    spec = inference_of(job)
    names = job.spec.dataset.column_names
    if missing := [name for name in spec.keep if name not in names]:
        raise InvalidDataset(
            f"keep= names what is no column of the dataset: {', '.join(map(repr, missing[:10]))}",
            f"columns are {', '.join(map(repr, names[:20]))}",
        )
    if taken := [name for name in spec.keep if is_taken(name)]:
        raise InvalidRequest(
            f"keep= names {', '.join(map(repr, taken))}, which predictions are written to",
            "rename the column, or leave it out of keep=",
        )
    if spec.pipeline is not None:
        return  # the steps say themselves what they lack
    found = job.spec.dataset.columns
    expected = spec.reference.columns if spec.reference is not None else ()
    target = spec.model.target
    if spec.model.features:
        _note(check_schema(expected, found, target=target, features=spec.model.features), spec.keep)
    elif expected:
        # What a function of the user's needs is not known: its model says so itself.
        _note(differences(expected, found, target=target), spec.keep)


def _note(differing: SchemaDifferences, keep: Sequence[str]) -> None:
    extra = tuple(name for name in differing.extra if name not in keep)
    shown = SchemaDifferences(missing=differing.missing, extra=extra, retyped=differing.retyped)
    if str(shown):
        reporting.note(f"the dataset differs from the one trained on: {shown}")


def _complete(job: Job, results: Sequence[dict[str, Any]], compared: drift.Compared) -> Manifest:
    """Write the manifest, when all that it lists is there."""
    spec, output = inference_of(job), output_of(job)
    parts = tuple(
        Part(name=each["part"], rows=each["rows"], bytes=each["bytes"], sha256=each["sha256"])
        for each in results
        if each["rows"]  # a file without rows leaves none
    )
    if not parts:
        raise InvalidDataset("the dataset has no rows to score", "pass one with rows")
    output.check_owner(job.key)
    there = set(output.names())
    if gone := [part.name for part in parts if part.name not in there]:
        raise CorruptObject(
            f"of the output {output.url!r} {len(gone):,} parts were removed after they were written: "
            f"{', '.join(map(repr, gone[:3]))}",
            "run the job anew, with force=True",
        )
    output.tidy()
    schema = shape_of(find_files(output.part_url(parts[0].name))).schema
    manifest = Manifest(
        job=job.key,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=job.spec.dataset.fingerprint,
        model=spec.model.label,
        model_sha256=spec.model.object.sha256,
        rows=sum(part.rows for part in parts),
        columns=tuple(Column(name=field.name, type=str(field.type)) for field in schema),
        parts=parts,
        drift=compared.object,
        drifted=compared.moved,
        generation=job.generation("validated"),
    )
    output.write_text(MANIFEST, encode(manifest))
    return manifest


def _output(job: Job, manifest: Manifest) -> RunOutput:
    scored = Scored(
        uri=output_of(job).url,
        rows=manifest.rows,
        parts=len(manifest.parts),
        drift=manifest.drift,
        drifted=manifest.drifted,
    )
    return RunOutput(metrics={"rows": float(manifest.rows)}, notes=reporting.notes(), scored=scored)
