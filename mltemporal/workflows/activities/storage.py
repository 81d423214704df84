"""Activities around datasets."""

from __future__ import annotations

import asyncio

from temporalio import activity

from mltemporal.database import Database
from mltemporal.errors import InvalidRequest
from mltemporal.specs import JobPlan, JobStatus
from mltemporal.storage import Storage
from mltemporal.workflows.activities.pulse import beating


class StorageActivities:
    """Built once a worker, over one database and one storage."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    @activity.defn
    async def validate_dataset(self, job_id: int) -> JobPlan:
        """Check that the job's dataset is still what it was at launch, and plan the job.

        Raises:
            InvalidDataset: the table is gone, has changed or cannot be trained on; never retried.
            InvalidRequest, NotFound: there is no such job, or it has ended; never retried.
            ServiceUnavailable: database or storage did not answer; retried.

        Idempotency: reads only, but for the job's status.
        Heartbeat: each second, while a thread reads.
        """
        async with beating():
            return await asyncio.to_thread(self._validate, job_id)

    def _validate(self, job_id: int) -> JobPlan:
        from mltemporal.dataset import validate

        job = self._database.jobs.get(job_id)
        if job.status.final:
            raise InvalidRequest(f"job {job_id} has ended as {job.status}", "job.retry() starts it again")
        self._database.jobs.set_status(job_id, JobStatus.VALIDATING, "checking the dataset")
        validate(job.spec.dataset, target=job.spec.target, storage=self._storage)
        return JobPlan(
            job_id=job_id, retries=job.spec.retries, timeout_s=job.spec.timeout_s, attempts_before=job.attempt
        )
