"""InferenceWorkflow: validate, launch, follow, register the predictions, clean up."""

from __future__ import annotations

from temporalio import workflow

from mltemporal.workflows.attempts import JobWorkflow

with workflow.unsafe.imports_passed_through():
    from mltemporal.specs.results import InferenceResult, Outcome
    from mltemporal.specs.running import Carried, JobStatus


@workflow.defn
class InferenceWorkflow(JobWorkflow):
    """Owns one batch inference from the request to the last trace of it."""

    @workflow.run
    async def run(self, job_id: int, carried: Carried | None = None) -> InferenceResult:
        """Score; ends as failed or cancelled where the job does, always after the clean-up.

        Args:
            job_id: the job; all else is in the record.
            carried: what the run before this one hands on.
        """
        outcome = await self._own(job_id, carried)
        assert outcome.scored is not None
        return outcome.scored

    async def _work(self, job_id: int) -> Outcome:
        plan = await self._validate(job_id)
        ended = await self._attempt(plan)
        scored = await self._record("register_predictions", plan, ended, InferenceResult)
        return Outcome(job_id=job_id, status=JobStatus.SUCCEEDED, attempts=scored.attempts, scored=scored)
