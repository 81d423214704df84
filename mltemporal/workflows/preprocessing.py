"""PreprocessingWorkflow: validate, launch, follow, register the new datasets, clean up."""

from __future__ import annotations

from temporalio import workflow

from mltemporal.workflows.attempts import JobWorkflow

with workflow.unsafe.imports_passed_through():
    from mltemporal.specs.results import Outcome, PreprocessingResult
    from mltemporal.specs.running import Carried, JobStatus


@workflow.defn
class PreprocessingWorkflow(JobWorkflow):
    """Owns one preprocessing from the request to the last trace of it."""

    @workflow.run
    async def run(self, job_id: int, carried: Carried | None = None) -> PreprocessingResult:
        """Preprocess; ends as failed or cancelled where the job does, always after the clean-up.

        Args:
            job_id: the job; all else is in the record.
            carried: what the run before this one hands on.
        """
        outcome = await self._own(job_id, carried)
        assert outcome.prepared is not None
        return outcome.prepared

    async def _work(self, job_id: int) -> Outcome:
        plan = await self._validate(job_id)
        ended = await self._attempt(plan)
        made = await self._record("register_datasets", plan, ended, PreprocessingResult)
        return Outcome(job_id=job_id, status=JobStatus.SUCCEEDED, attempts=made.attempts, prepared=made)
