"""Activities around datasets."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import InvalidDataset
from mltemporal.specs.orders import EXTENDED, Extended
from mltemporal.specs.request import JobSpec
from mltemporal.specs.running import Attempt, JobPlan, JobStatus
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.beginning import check_owner, rewound_to, started_again
from mltemporal.workflows.activities.pulse import beating

ADOPT_NOTE = "adopt"
"""Names the attempt that goes on when a job's workflow is replaced by one of other code."""


class StorageActivities:
    """Built once a worker, over one database and one storage."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    @activity.defn
    async def validate_dataset(self, job_id: int) -> JobPlan:
        """Check that the job's dataset is still what it was at launch, and plan the job.

        Of a job that was rewound the validation stands: then it is only planned.

        Raises:
            InvalidDataset: the table is gone, has changed, cannot be trained on, or is not as a training
                expects it to be; never retried.
            Disowned, NotFound: the job has ended, or is another workflow's, or there is none; never retried.
            ServiceUnavailable: database or storage did not answer; retried.

        Idempotency: reads only, but for the job's status.
        Heartbeat: each second, while a thread reads.
        """
        async with beating():
            return await asyncio.to_thread(self._validate, job_id)

    def _validate(self, job_id: int) -> JobPlan:
        from mltemporal.dataset.validating import validate

        job = self._database.jobs.get(job_id)
        check_owner(job)
        events = self._database.jobs.events(job_id)
        if rewound_to(events) is None:
            self._database.jobs.set_status(job_id, JobStatus.VALIDATING, "checking the dataset")
            trains = job.kind == "training"  # the target of a preprocessing may be made by its steps
            validate(job.spec.dataset, target=job.spec.target if trains else None, storage=self._storage)
            if trains:
                self._check_expectations(job.spec)
        before = job.attempt - 1 if self._adopts(job, events) else job.attempt
        return JobPlan(
            job_id=job_id,
            retries=job.spec.retries,
            timeout_s=self._time_s(job, events),
            attempts_before=before,
        )

    def _time_s(self, job: JobRow, events: Sequence[Event]) -> float:
        """Return the job's whole time; what `extend` gave outlives a workflow that was replaced."""
        extended = self._storage.get_note(job.key, EXTENDED, Extended)
        if extended is None or started_again(events, extended.attempt):
            return job.spec.timeout_s
        return extended.timeout_s

    def _adopts(self, job: JobRow, events: Sequence[Event]) -> bool:
        """Whether the newest attempt still runs, or ended well: its workflow was replaced over its head."""
        left = self._storage.get_note(job.key, ADOPT_NOTE, Attempt)
        if left is None or left.number != job.attempt or started_again(events, left.number):
            return False
        newest = self._database.jobs.attempts(job.id)[-1]
        return newest["finished_at"] is None or newest["phase"] == JobStatus.SUCCEEDED

    def _check_expectations(self, spec: JobSpec) -> None:
        """Compare the table with what the training demands and with what is kept with the table."""
        kept = self._database.datasets.of(spec.dataset.fingerprint)
        expected = tuple(dict.fromkeys([*spec.expectations, *(kept.facts.expectations if kept else ())]))
        if not expected:
            return
        from mltemporal.dataset.shards import opened_dataset
        from mltemporal.profiling.meeting import broken_expectations

        with (
            opened_dataset(spec.dataset, self._storage) as files,
            tempfile.TemporaryDirectory(prefix="mltemporal-") as scratch,
        ):
            broken = broken_expectations(expected, files, memory_mib=512, threads=2, scratch=scratch)
        if broken:
            raise InvalidDataset(
                f"the dataset is not as expected: {'; '.join(broken)}", "mend the data or the expectations"
            )
