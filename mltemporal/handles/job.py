"""The job handle: plain calls outside, one background event loop inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from mltemporal import background, owner, request, restarting
from mltemporal.errors import InvalidRequest, JobCancelled, JobFailed, ServiceUnavailable
from mltemporal.handles.presenting import present_launch, presenter
from mltemporal.handles.reading import Answer, LogText, follow_log, history_frame, metrics_frame
from mltemporal.param_values import check_values
from mltemporal.results import Artifacts, StoredFile
from mltemporal.specs.encoding import encode
from mltemporal.specs.running import JobStatus, Progress
from mltemporal.views import JobView
from mltemporal.watching import Pulse, Watch, log_lines, read_view

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mltemporal.database.jobs import JobRow
    from mltemporal.deployments.replaying import Replayed
    from mltemporal.session import Session

Result = TypeVar("Result")

_PATIENCE_S = 60.0
"""How long a database may be away before the waiting for a job's end is given up."""


class Job(Generic[Result]):
    """One job, wherever it runs and whoever started it; each kind of job has a class of its own.

    The words of `concurrent.futures.Future` mean what they mean there. A handle holds nothing
    but the job's id: any number, in any number of kernels, may stand for one job.
    """

    def __init__(self, session: Session, row: JobRow) -> None:
        self._session = session
        self._key = row.key
        self.id = row.id
        self.name = row.name

    def __call__(self, id_or_name: int | str) -> Job[Any]:
        """Return another job's handle, as the verb ``job`` does.

        In a notebook ``job = train(…)`` takes the verb's name; so the handle answers to it too.
        """
        from mltemporal.handles.kinds import find

        return find(self._session, id_or_name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.name!r}>"  # no I/O here: a repr must never wait

    # Follow

    @property
    def status(self) -> JobStatus:
        """Where the job stands: ``queued validating starting running paused succeeded failed cancelled``."""
        return self._row().status

    @property
    def progress(self) -> Progress | None:
        """The newest report of the newest attempt; None before the first."""
        row = self._row()
        point = self._session.database.progress.last_point(self.id, row.attempt)
        if point is None:
            return None
        return Progress(time=point.time, step=point.step, total=point.total, metrics=point.metrics)

    @property
    def url(self) -> str:
        """The job's page in Temporal's Web UI; empty where unknown."""
        return self._session.job_url(self._key)

    def done(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self.status.final

    def running(self) -> bool:
        """Whether the job's process runs, paused ones included."""
        return self.status in (JobStatus.STARTING, JobStatus.RUNNING, JobStatus.PAUSED)

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self.status is JobStatus.CANCELLED

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended; returns whether it has.

        A timeout (seconds) or an interrupt ends the waiting, never the job.
        """
        if self.done():
            return True
        future = background.submit(self._until_ended())
        try:
            background.wait(future, timeout)
        except TimeoutError:
            return False
        finally:
            future.cancel()  # ends the waiting only
        return True

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the job's end and return what it made.

        Raises:
            JobFailed: it failed; the text opens with the user's own traceback.
            JobCancelled: it was cancelled.
            TimeoutError: ``timeout`` seconds were over; the job goes on.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"job {self.id} is still {self.status} after {timeout} s; it goes on")
        return self._result(self._row())

    def exception(self, timeout: float | None = None) -> JobFailed | None:
        """Wait for the end and return why the job failed, None where it succeeded.

        Raises:
            JobCancelled, TimeoutError: as for `result`.
        """
        try:
            self.result(timeout)
        except JobFailed as error:
            return error
        return None

    def __await__(self) -> Generator[Any, None, Result]:
        return self._await().__await__()

    async def _await(self) -> Result:
        waiting = asyncio.wrap_future(background.submit(self._until_ended()))
        try:
            while not waiting.done():
                # The beat lets an interrupt of the cell be noticed before the job's end.
                await asyncio.wait({waiting}, timeout=0.25)
            waiting.result()
        finally:
            waiting.cancel()
        row = await asyncio.to_thread(self._row)
        return self._result(row)

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call ``callback(job)`` on a background thread once the job has ended."""
        background.submit(self._until_ended()).add_done_callback(lambda _: callback(self))

    def logs(self, tail: int = 200, follow: bool = False, rank: int = 0) -> LogText | Iterator[str]:
        """Return the last ``tail`` lines of output; with ``follow``, an iterator of lines until the end.

        Of a job of several nodes, the output of the one with that ``rank``.

        Raises:
            InvalidRequest: ``tail`` is no whole number from 0, or the job has no such rank.
        """
        tail = request.whole_number("tail", tail, 0, 1_000_000)
        rank = request.whole_number("rank", rank, 0, self._row().spec.pod.nodes - 1)
        if follow:
            return follow_log(self._session, self.id, tail=tail, rank=rank)
        return LogText("\n".join(log_lines(self._session, self.id, tail=tail, rank=rank)))

    def metrics(self, all_attempts: bool = False) -> pd.DataFrame:
        """Return one row a report: ``step``, ``attempt``, ``time``, then a column a metric.

        Each step is there once: what an attempt reported counts up to where the next one took over.

        Args:
            all_attempts: also what newer attempts, or a rewind, have superseded.
        """
        return metrics_frame(self._session, self.id, all_attempts=all_attempts)

    def history(self) -> pd.DataFrame:
        """Return everything that happened to the job, a row an event: when, what, which attempt, by whom."""
        return history_frame(self._session, self.id)

    def replay(self) -> Replayed:
        """Replay the job's history on the workflow code of this process; the answer says whether it fits.

        Raises:
            NotFound: Temporal has no history of it (any more).
        """
        from mltemporal.deployments.replaying import replay_job

        return background.run(replay_job(self._session, self._key))

    def plot(self) -> Figure:
        """Return a figure of the metric curves."""
        from mltemporal.plots.metrics import plot_metrics

        return plot_metrics(self.metrics())

    def timeline(self) -> Figure:
        """Return a figure of the job's life: stages, attempts, retries, commands."""
        from mltemporal.plots.timeline import plot_timeline

        return plot_timeline(self.history())

    @property
    def artifacts(self) -> Artifacts:
        """The files that the job has left behind so far, by name."""
        found = self._session.database.progress.artifacts(self.id)
        return Artifacts([StoredFile(artifact, self._session.storage) for artifact in found])

    def view(self) -> JobView:
        """Return the job as it stands now."""
        return read_view(self._session, self.id)

    def watch(self, callback: Callable[[JobView], None]) -> Watch:
        """Call ``callback`` on a background thread with the job's view, at once and on each change."""
        return Watch(self._session, self.id, callback)

    # Control

    def cancel(self) -> bool:
        """Stop the job gracefully; returns False where the job had ended already.

        The process gets SIGTERM and some time to save a checkpoint. The record stays.
        """
        return background.run(owner.cancel(self._session, self.id))

    def pause(self) -> Answer:
        """Halt the job where it is; a local one keeps its memory and its slot. Returns what came of it.

        Raises:
            InvalidRequest: it is refused, and says why: it does not run, say. So it is for all commands.
            ServiceUnavailable: no worker answers; the command may still be carried out.
        """
        return self._command("pause")

    def resume(self) -> Answer:
        """Let a paused job go on."""
        return self._command("resume")

    def checkpoint_now(self) -> Answer:
        """Have the training save its state; returns at which step it was, or when it will be.

        A function saves what it gave to `checkpoint.on_stop`, at the end of its step; without that, what it
        saves next by itself.
        """
        return self._command("checkpoint_now")

    def stop_early(self) -> Answer:
        """End the training now and keep the best so far: the job succeeds, with a note.

        The baseline ends after this iteration, a loop of `track` before its next item; other loops ask
        `should_stop`.
        """
        return self._command("stop_early")

    def extend(self, timeout: str | float | timedelta) -> Answer:
        """Give the job another whole time (``"48h"``), counted from its beginning; longer or shorter."""
        return self._command("extend", timeout_s=request.seconds(timeout))

    def set(self, **params: Any) -> Answer:
        """Give parameters other values, which the running function sees in `mltemporal.params`.

        It does so from its next `report` or step of `track` on; another attempt is called with them.

        Args:
            params: plain values: numbers, text, True, False, None, short lists of them.
        """
        check_values(params)
        return self._command("set", params_json=encode(params))

    def retry(self) -> Self:
        """Start a failed or cancelled job again from its last checkpoint, under the same identity.

        Raises:
            InvalidRequest: it has not ended, it succeeded, or its like runs.
        """
        return self._again(None)

    def rewind(self, to: str | int) -> Self:
        """Start an ended job, however it ended, again from a recorded stage, under the same identity.

        What came before stays in the record: attempts, logs, metrics. The curves show what holds.

        Args:
            to: ``"validated"``: from the beginning, without another look at the dataset; ``"fitted"``: of a
                preprocessing, with the steps as they were fitted; a number: the step of a kept checkpoint.

        Raises:
            InvalidRequest: it has not ended, its like runs, or it has no such stage: lists those there are.
        """
        if not isinstance(to, str | int) or isinstance(to, bool):
            raise InvalidRequest(
                f"to={to!r} is no stage", "use 'validated', 'fitted', or a step: a whole number"
            )
        return self._again(to)

    def command_soon(self, verb: str) -> Future[Any]:
        """Give a command (``cancel pause resume retry``) and return at once; from any thread."""
        if verb == "cancel":
            return background.submit(owner.cancel(self._session, self.id))
        if verb == "retry":
            return background.submit(self._start_again(None))
        return background.submit(owner.command(self._session, self.id, verb))

    # How it shows

    def _ipython_display_(self) -> None:
        shown_by = presenter()
        if shown_by is None:
            print(repr(self))  # noqa: T201  (IPython asked for it)
        else:
            shown_by.show(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:  # noqa: ARG002
        shown_by = presenter()
        return {"text/plain": repr(self)} if shown_by is None else shown_by.mimebundle(self)

    # Below

    @cached_property
    def _finished(self) -> Result:
        return self.result()

    def _command(self, verb: str, **details: Any) -> Answer:
        return Answer(background.run(owner.command(self._session, self.id, verb, **details)))

    def _again(self, to: str | int | None) -> Self:
        background.run(self._start_again(to))
        present_launch(self)
        return self

    async def _start_again(self, to: str | int | None) -> None:
        await restarting.start_again(self._session, self.id, to)
        self.__dict__.pop("_finished", None)

    def _row(self) -> JobRow:
        return self._session.database.jobs.get(self.id)

    async def _until_ended(self) -> None:
        pulse = Pulse(self._session, self.id)
        answered_at = time.monotonic()
        while True:
            try:
                if (await asyncio.to_thread(self._row)).status.final:
                    return
                answered_at = time.monotonic()
            except ServiceUnavailable:  # a database that is started again must not end a wait of hours
                if time.monotonic() - answered_at > _PATIENCE_S:
                    raise
            await pulse.beat()

    def _made(self, result: Any) -> Result:
        """Return what a person gets for the job's recorded result."""
        raise NotImplementedError

    def _result(self, row: JobRow) -> Result:
        if row.status is JobStatus.CANCELLED:
            raise JobCancelled(f"job {row.id} {row.name!r} was cancelled", "job.retry() starts it again")
        if row.status is JobStatus.FAILED:
            raise JobFailed(row.error)
        if row.result is None:
            raise InvalidRequest(f"job {row.id} is {row.status}", "wait for its end with job.wait()")
        return self._made(row.result)
