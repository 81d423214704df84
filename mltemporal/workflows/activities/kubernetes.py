"""Activities around a job's process, wherever it runs: a Kubernetes Job, or a local process."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.database.progress import LOG_KEPT_BYTES
from mltemporal.errors import InvalidRequest, JobFailed, NotFound, ServiceUnavailable, TrainingInterrupted
from mltemporal.launchers.base import Launcher, Phase, Sighting
from mltemporal.progress import is_file_name
from mltemporal.specs.encoding import encode
from mltemporal.specs.orders import NEWEST
from mltemporal.specs.results import Outcome, RunFailure, RunOutput, TrainingResult
from mltemporal.specs.running import Attempt, JobStatus
from mltemporal.storage.content import Storage
from mltemporal.words import shortened
from mltemporal.workflows.activities.allowance import MOST_ARTIFACTS
from mltemporal.workflows.activities.beginning import begin_anew, check_owner, set_before, started_again
from mltemporal.workflows.activities.commanding import allow_time
from mltemporal.workflows.activities.follower import Follower
from mltemporal.workflows.activities.pausing import Pause
from mltemporal.workflows.activities.payloads import fitting
from mltemporal.workflows.activities.pulse import beating
from mltemporal.workflows.activities.recalling import recall
from mltemporal.workflows.activities.recording import record_output
from mltemporal.workflows.activities.standstill import Standstill


class JobActivities:
    """Built once a worker, with a launcher for each backend; tests pass what they like."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        launchers: Mapping[str, Launcher],
        *,
        notify: bool = False,
    ) -> None:
        self._database = database
        self._storage = storage
        self._launchers = launchers
        self._notify = notify

    @activity.defn
    async def create_training_job(self, attempt: Attempt) -> None:
        """Start the attempt's process, or queue it.

        Raises:
            ServiceUnavailable: the launcher, database or storage did not answer; retried.
            Disowned: the job has ended, or the workflow is not its own; never retried.
            InvalidRequest: this worker cannot start such jobs, or not this one; never retried.

        Idempotency: the launcher starts a name once.
        Heartbeat: each second.
        """
        job = await self._job(attempt.job_id)
        check_owner(job)
        async with beating():
            await asyncio.to_thread(self._announce, job, attempt)
            try:
                if attempt.number > 1:  # what the platform lost sight of may still run
                    await self._launcher(job).stop(f"{job.key}-{attempt.number - 1}", job.spec.grace_s)
                await self._launcher(job).start(job.spec, attempt.number)
                await allow_time(self._launcher(job), self._storage, job, attempt)
            except ServiceUnavailable as error:
                stage = f"trying again to start the process: {error.what}"
                await asyncio.to_thread(self._database.jobs.set_status, job.id, JobStatus.STARTING, stage)
                raise

    def _announce(self, job: JobRow, attempt: Attempt) -> None:
        if attempt.fresh and attempt.number > job.attempt:  # not one that a new workflow takes over
            events = self._database.jobs.events(job.id)
            if started_again(events, job.attempt):
                begin_anew(self._storage, job, events)
        if attempt.number > 1:  # also after one whose end nobody judged
            self._storage.put_note(job.key, NEWEST, attempt.number)
            if told := set_before(self._storage, job):
                note = Event(time=time.time(), kind="note", attempt=attempt.number, message=told)
                self._database.jobs.add_event(job.id, note, key=f"set-before-{attempt.number}")
        self._database.jobs.start_attempt(job.id, attempt.number)
        self._database.jobs.set_status(job.id, JobStatus.STARTING, "starting the process")

    @activity.defn
    async def monitor_training(self, attempt: Attempt) -> TrainingResult:
        """Follow the attempt to its end and record what it says.

        Raises:
            JobFailed: it failed by itself; never retried.
            TrainingInterrupted: it was ended from outside; the workflow starts another attempt.
            ServiceUnavailable: launcher, database or storage did not answer; this is retried.

        Idempotency: goes on where the record stands, whoever wrote it.
        Heartbeat: each second at least, with the position in the output and the latest report.
        Cancellation: stops the process gracefully, records its last words, ends as cancelled. A
            worker that shuts down leaves the process alone: the next worker goes on.
        """
        job = await self._job(attempt.job_id)
        name = f"{job.key}-{attempt.number}"
        launcher = self._launcher(job)
        tries = activity.info().attempt
        if tries > 1:
            event = Event(time=time.time(), kind="follow", attempt=attempt.number, message=_FOLLOWED_AGAIN)
            await asyncio.to_thread(
                self._database.jobs.add_event, job.id, event, key=f"follow-{attempt.number}-{tries}"
            )
        standstill = await Standstill.begin(self._database, launcher, job, attempt)
        try:
            end = await standstill.ended(await self._follow(launcher, job, attempt, watch=standstill))
        except NotFound as gone:  # somebody removed it; what it left may still be a result
            end = Sighting(phase=Phase.INTERRUPTED, reason=gone.what)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is not None and details.cancel_requested:
                await self._end(launcher, job, attempt)  # why it ended, the clean-up knows
            raise
        finally:
            standstill.close()
        log_json = await self._keep_log(launcher, job, attempt, name)
        await self._recall(job, attempt.number)
        return await asyncio.to_thread(self._conclude, job, attempt, end, log_json)

    @activity.defn
    async def cleanup_resources(self, outcome: Outcome) -> bool:
        """Stop what still runs, remove what was made for the job, and record how it ended.

        Returns whether somebody wants to be told.

        Raises:
            ServiceUnavailable: launcher, database or storage did not answer; retried for days.

        Idempotency: removing what is gone does nothing; the first recorded end stands. A call that slept
            while another ended the job, and a person had it started again, leaves that alone.
        Heartbeat: each second.
        """
        job = await self._job(outcome.job_id)
        attempts = outcome.attempts or job.attempt  # none where this run came to none
        events = await asyncio.to_thread(self._database.jobs.events, job.id)
        if outcome.attempts and started_again(events, outcome.attempts):
            return self._notify
        launcher = self._launchers.get(job.spec.backend)
        async with beating():
            if launcher is not None:
                await launcher.forget(job.key)  # first, so that an attempt that is just starting cannot
            for attempt in await asyncio.to_thread(self._database.jobs.attempts, job.id):
                number, ended = attempt["number"], attempt["finished_at"] is not None
                if number > attempts:
                    continue
                if launcher is not None:
                    await self._remove(launcher, job, number, outcome, ended=ended)
                await asyncio.to_thread(
                    self._database.jobs.end_attempt, job.id, number, phase=outcome.status, reason=outcome.what
                )
            if attempts:
                await self._recall(job, attempts)
            await asyncio.to_thread(self._finish, job, outcome)
        return self._notify

    async def _remove(
        self, launcher: Launcher, job: JobRow, number: int, outcome: Outcome, *, ended: bool
    ) -> None:
        name = f"{job.key}-{number}"
        seen = await launcher.find(name)
        if seen is not None and not ended and outcome.status is JobStatus.FAILED:
            # Before it is stopped: whoever else still follows it must not record that as the reason.
            await asyncio.to_thread(
                self._database.jobs.end_attempt, job.id, number, phase=outcome.status, reason=outcome.what
            )
        if seen is not None and not (ended and seen.phase.final):  # its last words are not recorded yet
            attempt = Attempt(job_id=job.id, number=number)
            with suppress(NotFound):  # somebody else is cleaning up too
                seen = await self._end(launcher, job, attempt)
        if seen is not None and not ended:
            reason = seen.reason if outcome.status is JobStatus.CANCELLED else outcome.what
            await asyncio.to_thread(
                self._database.jobs.end_attempt, job.id, number, phase=outcome.status, reason=reason
            )
        await launcher.delete(name)

    # Below: the parts of monitor_training

    async def _job(self, job_id: int) -> JobRow:
        return await asyncio.to_thread(self._database.jobs.get, job_id)

    def _launcher(self, job: JobRow) -> Launcher:
        if job.spec.backend not in self._launchers:
            raise InvalidRequest(
                f"this worker has no backend {job.spec.backend!r}",
                f"run a worker that has it; this one has {', '.join(sorted(self._launchers))}",
            )
        return self._launchers[job.spec.backend]

    async def _follow(
        self,
        launcher: Launcher,
        job: JobRow,
        attempt: Attempt,
        *,
        stage: str = "",
        watch: Standstill | None = None,
    ) -> Sighting:
        """Follow every rank to the end and return how it ended; progress is rank 0's.

        People read ``stage``, or what the job says that it does.
        """
        others = [
            asyncio.create_task(record_output(self._database, launcher, job, attempt.number, rank=rank))
            for rank in range(1, job.spec.pod.nodes)
        ]

        said: tuple[JobStatus, str] | None = None
        pause = None if stage else Pause(self._database, launcher, job, attempt.number)

        async def tell(seen: Sighting, follower: Follower) -> None:
            nonlocal said
            if pause is not None:
                await pause.look(seen)
            status = (JobStatus.RUNNING, stage) if stage else _status(seen, follower)
            if watch is not None and (stands := await watch.look(seen, follower)):
                status = (JobStatus.RUNNING, stands)
            if status != said:
                before, said = said, status
                await asyncio.to_thread(self._database.jobs.set_status, job.id, *status)
                if JobStatus.PAUSED in (status[0], before and before[0]):  # another process will go on
                    await self._recall(job, attempt.number)
            activity.heartbeat(_beat(seen.phase, follower))

        first = asyncio.create_task(record_output(self._database, launcher, job, attempt.number, tell=tell))
        try:
            end, *_ = await asyncio.gather(first, *others)
        finally:
            for task in (first, *others):  # where one failed, all begin again where the record stands
                task.cancel()
        return end

    async def _recall(self, job: JobRow, attempt: int) -> None:
        """Record what was reported and not read, where a log can be lost; nothing waits for a curve."""
        if job.spec.backend == "local":
            return  # what it prints is in a file that outlives it
        async with beating():
            try:
                await asyncio.to_thread(recall, self._database, self._storage, job, attempt)
            except ServiceUnavailable as error:  # it is looked for again at the end of attempt and job
                activity.logger.warning("points of job %d may be missing: %s", job.id, error)

    async def _end(self, launcher: Launcher, job: JobRow, attempt: Attempt) -> Sighting:
        """Stop the process while its last words are still recorded; return how it ended."""
        end, _ = await asyncio.gather(
            self._follow(launcher, job, attempt, stage="stopping"),
            launcher.stop(f"{job.key}-{attempt.number}", job.spec.grace_s),
        )
        return end

    def _conclude(self, job: JobRow, attempt: Attempt, end: Sighting, log_json: str | None) -> TrainingResult:
        """Turn the end of the process, and what it left in storage, into a result or an error."""
        output = self._output(job, attempt, end)
        if output is None and end.phase is Phase.INTERRUPTED:
            # From now on it leaves no result, should it live on, on a node that was taken for lost.
            self._storage.put_note(job.key, NEWEST, attempt.number + 1)
            output = self._output(job, attempt, end)
        failure = self._storage.get_note(job.key, f"{attempt.number}/failure", RunFailure)
        if output is not None:
            phase = Phase.SUCCEEDED  # the last thing that a process writes, however it ended after that
        elif end.phase is Phase.INTERRUPTED and (failure is None or job.spec.pod.nodes > 1):
            phase = Phase.INTERRUPTED  # of several ranks, the others fail when one is gone
        elif end.exit_code == os.EX_TEMPFAIL if failure is None else failure.retryable:
            phase = Phase.INTERRUPTED
        else:
            phase = Phase.FAILED
        reason = (
            "" if output is not None else shortened(self._reason(job, attempt, end, failure), _LONGEST_REASON)
        )
        result = None if output is None else fitting(_result(job, attempt, output))
        if output is not None and output.artifacts:
            named = [each for each in output.artifacts[:MOST_ARTIFACTS] if is_file_name(each.name)]
            self._database.progress.keep_artifacts(job.id, attempt.number, named)
        self._database.jobs.end_attempt(job.id, attempt.number, phase=phase, reason=reason, log_json=log_json)
        if phase is Phase.INTERRUPTED:
            self._database.jobs.set_status(job.id, JobStatus.STARTING, "waiting to try again")
            raise TrainingInterrupted(
                f"attempt {attempt.number} of job {job.id} was interrupted: {shortened(end.reason, 500)}"
            )
        if result is None:
            # The traceback stays in the database: a workflow's history is no place for users' data.
            kind = failure.type if failure is not None else end.reason
            raise JobFailed(
                f"attempt {attempt.number} failed: {shortened(kind, 500)}", f"see mltemporal.job({job.id})"
            )
        return result

    def _output(self, job: JobRow, attempt: Attempt, end: Sighting) -> RunOutput | None:
        """Return what the attempt left when it succeeded; None where it did not."""
        if job.spec.trainer.kind == "container":
            if end.phase is not Phase.SUCCEEDED:
                return None
            point = self._database.progress.last_point(job.id, attempt.number)
            return RunOutput(metrics={} if point is None else point.metrics)
        if job.spec.kind == "training" and job.spec.pod.nodes > 1 and end.phase is not Phase.SUCCEEDED:
            return None  # of a dataset the first rank completes the output when the others have done theirs
        return self._storage.get_note(job.key, f"{attempt.number}/output", RunOutput)

    def _reason(self, job: JobRow, attempt: Attempt, end: Sighting, failure: RunFailure | None) -> str:
        """What a person reads: the user's own traceback first, then the platform's reason."""
        if failure is not None:
            return "\n".join(part for part in (failure.traceback.rstrip(), failure.next_step) if part)
        chunks = self._database.progress.log(job.id, newest=5)
        tail = "".join(text for _, number, text in chunks if number == attempt.number)
        last_words = "\n".join(tail.splitlines()[-20:])
        return f"{last_words}\n{end.reason or 'it ended without a result'}".strip()

    async def _keep_log(self, launcher: Launcher, job: JobRow, attempt: Attempt, name: str) -> str | None:
        """Store the attempt's whole output where the database holds only its end; return the reference.

        It is as whole as the platform has kept it; None where that has nothing any more.
        """
        place = await asyncio.to_thread(self._database.progress.place, job.id, attempt.number)
        if place.position <= LOG_KEPT_BYTES:
            return None
        with tempfile.TemporaryDirectory(prefix="mltemporal-") as folder:
            path = Path(folder) / "log"
            async with beating():
                try:
                    with path.open("wb") as file:
                        async for seen in launcher.follow(name, 0):
                            file.write(seen.output)
                except NotFound:
                    return None
                return encode(await asyncio.to_thread(self._storage.put_file, path, format="text"))

    def _finish(self, job: JobRow, outcome: Outcome) -> None:
        error = ""
        if outcome.status is JobStatus.FAILED:
            reasons = {each["number"]: each["reason"] for each in self._database.jobs.attempts(job.id)}
            what = reasons.get(outcome.attempts) or outcome.what  # none where this run came to no attempt
            error = f"{what}\nNext step: {outcome.next_step}" if outcome.next_step else what
        result = outcome.result or outcome.prepared or outcome.scored
        attempts = outcome.attempts or None
        self._database.jobs.finish(job.id, outcome.status, result=result, error=error, attempts=attempts)


_LONGEST_REASON = 100_000
"""Of why an attempt failed, in characters: a traceback has half of it at most."""
_FOLLOWED_AGAIN = "a worker went on following after the one before had fallen silent"


def _result(job: JobRow, attempt: Attempt, output: RunOutput) -> TrainingResult:
    started = job.started_at if job.started_at is not None else job.created_at
    return TrainingResult(
        job_id=job.id,
        metrics=output.metrics,
        model_ref=output.model,
        value_ref=output.value,
        attempts=attempt.number,
        duration_s=round(time.time() - started, 3),
    )


def _status(seen: Sighting, follower: Follower) -> tuple[JobStatus, str]:
    """What a person reads while it runs."""
    if seen.phase is Phase.QUEUED:
        return JobStatus.QUEUED, seen.reason
    if seen.phase is Phase.SUSPENDED:
        return JobStatus.PAUSED, seen.reason or follower.stage
    if not follower.read_to:
        return JobStatus.STARTING, seen.reason or "starting the process"
    return JobStatus.RUNNING, seen.reason or follower.stage


def _beat(phase: Phase, follower: Follower) -> dict[str, object]:
    """The heartbeat's details: at most 1 KiB, whatever the job reports."""
    latest = follower.latest
    details: dict[str, object] = {
        "phase": phase.value,
        "position": follower.position,
        "stage": follower.stage[:200],
    }
    if latest is not None:
        details |= {"step": latest.step, "total": latest.total}
        shown = {name[:40]: value for name, value in list(latest.metrics.items())[:8]}
        details["metrics"] = {name: value if value == value else None for name, value in shown.items()}  # noqa: PLR0124
    return details
