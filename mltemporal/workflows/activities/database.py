"""Activities that record what a job has made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.errors import NotFound
from mltemporal.specs.data import DatasetFacts
from mltemporal.specs.results import InferenceResult, PreprocessingResult, RunOutput
from mltemporal.specs.running import Attempt
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.payloads import fitting
from mltemporal.workflows.activities.pulse import beating


class DatabaseActivities:
    """Built once a worker, over one database and one storage."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    @activity.defn
    async def register_datasets(self, attempt: Attempt) -> PreprocessingResult:
        """Register the datasets that a preprocessing's attempt wrote, with where they came from.

        Raises:
            NotFound: the attempt left no result; never retried.
            ServiceUnavailable: database or storage did not answer; retried.

        Idempotency: a dataset is registered once, by its fingerprint.
        Heartbeat: each second.
        """
        async with beating():
            return await asyncio.to_thread(self._register_datasets, attempt)

    @activity.defn
    async def register_predictions(self, attempt: Attempt) -> InferenceResult:
        """Record what a batch inference's attempt wrote.

        Raises, Idempotency, Heartbeat: as `register_datasets`; it only reads.
        """
        async with beating():
            return await asyncio.to_thread(self._register_predictions, attempt)

    def _register_datasets(self, attempt: Attempt) -> PreprocessingResult:
        job = self._database.jobs.get(attempt.job_id)
        output = self._output(job, attempt)
        made, plan = output.prepared, job.spec.preparation
        if made is None or plan is None:
            raise _nothing_left(attempt)
        ids = {}
        for each in made.datasets:
            facts = DatasetFacts(profile=each.profile, expectations=plan.expectations)
            if each.ref.fingerprint != job.spec.dataset.fingerprint:  # else it was only looked at
                facts = replace(
                    facts,
                    made_by=job.id,
                    part=each.part,
                    sources=(job.spec.dataset.fingerprint,),
                    steps=plan.steps,
                    pipeline=made.pipeline,
                    code=plan.plan.sha256,
                )
            ids[each.part] = self._database.datasets.describe(each.ref, facts)
        return fitting(
            PreprocessingResult(
                job_id=job.id,
                metrics=output.metrics,
                dataset_ids=ids,
                attempts=attempt.number,
                duration_s=_since_start(job),
            )
        )

    def _register_predictions(self, attempt: Attempt) -> InferenceResult:
        job = self._database.jobs.get(attempt.job_id)
        output = self._output(job, attempt)
        scored = output.scored
        if scored is None:
            raise _nothing_left(attempt)
        return fitting(
            InferenceResult(
                job_id=job.id,
                rows=scored.rows,
                uri=scored.uri,
                metrics=output.metrics,
                drift_ref=scored.drift,
                drifted=scored.drifted,
                attempts=attempt.number,
                duration_s=_since_start(job),
            )
        )

    def _output(self, job: JobRow, attempt: Attempt) -> RunOutput:
        output = self._storage.get_note(job.key, f"{attempt.number}/output", RunOutput)
        if output is None:
            raise _nothing_left(attempt)
        return output


def _nothing_left(attempt: Attempt) -> NotFound:
    return NotFound(
        f"attempt {attempt.number} of job {attempt.job_id} left no result in storage",
        "was the storage cleared? run the job again: job.retry()",
    )


def _since_start(job: JobRow) -> float:
    started = job.started_at if job.started_at is not None else job.created_at
    return round(time.time() - started, 3)
