"""TrainingWorkflow: validate, launch, follow, clean up."""

from __future__ import annotations

from temporalio import workflow

from mltemporal.workflows.attempts import JobWorkflow

with workflow.unsafe.imports_passed_through():
    from mltemporal.specs.results import Outcome, TrainingResult
    from mltemporal.specs.running import Carried, JobStatus


@workflow.defn
class TrainingWorkflow(JobWorkflow):
    """Owns one training from the request to the last trace of it."""

    @workflow.run
    async def run(self, job_id: int, carried: Carried | None = None) -> TrainingResult:
        """Train; ends as failed or cancelled where the job does, always after the clean-up.

        Args:
            job_id: the job; all else is in the record.
            carried: what the run before this one hands on.
        """
        outcome = await self._own(job_id, carried)
        assert outcome.result is not None
        return outcome.result

    async def _work(self, job_id: int) -> Outcome:
        plan = await self._validate(job_id)
        result = await self._attempt(plan)
        return Outcome(job_id=job_id, status=JobStatus.SUCCEEDED, attempts=result.attempts, result=result)
