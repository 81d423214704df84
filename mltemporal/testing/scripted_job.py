"""`ScriptedJob`: a job handle without a job, for what shows handles; `life`: something for it to live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mltemporal.specs.running import JobStatus
from mltemporal.views import JobView, Point


class ScriptedJob:
    """Lives through the given views, one every ``beat_s`` seconds, each with only its new points.

    It has what a presenter uses of a `TrainingJob`. ``view()`` and a new watch begin with
    everything so far. ``hold()`` stops the time, ``go_on()`` lets it run again.
    """

    def __init__(self, views: Iterable[JobView], beat_s: float = 0.1) -> None:
        self._coming = list(views)
        self._now = self._coming.pop(0)
        self._points: tuple[Point, ...] = self._now.points
        self._beat_s = beat_s
        self._lock = threading.Lock()
        self._watchers: list[Callable[[JobView], None]] = []
        self._running = threading.Event()
        self._running.set()
        self._thread: threading.Thread | None = None
        self.id = self._now.id
        self.name = self._now.name
        self.commands: list[str] = []

    def view(self) -> JobView:
        """Return the state with all points so far."""
        with self._lock:
            return replace(self._now, points=self._points)

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._now.status.final

    def watch(self, callback: Callable[[JobView], None]) -> ScriptedWatch:
        """Call back now and on each change, from another thread, until the job ended."""
        with self._lock:
            started = self._thread is not None
            if not started:
                self._thread = threading.Thread(target=self._live, daemon=True)
        if started:
            threading.Thread(target=self._join, args=(callback,), daemon=True).start()
        else:
            self._watchers.append(callback)
            assert self._thread
            self._thread.start()
        return ScriptedWatch(self._watchers, callback)

    def command_soon(self, command: str) -> None:
        """Note the command; ``cancel`` goes to the last view at once."""
        self.commands.append(command)
        if command == "cancel":
            self._coming = self._coming[-1:]

    def hold(self) -> None:
        """Stop the time."""
        self._running.clear()

    def go_on(self) -> None:
        """Let the time run again."""
        self._running.set()

    def wait(self, timeout_s: float = 30.0) -> bool:
        """Wait until everybody has seen the end; returns whether they have."""
        assert self._thread, "nobody watches"
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _join(self, callback: Callable[[JobView], None]) -> None:
        with self._lock:
            callback(replace(self._now, points=self._points))
            self._watchers.append(callback)

    def _live(self) -> None:
        self._tell()
        while self._coming:
            time.sleep(self._beat_s)
            self._running.wait()
            with self._lock:
                self._now = self._coming.pop(0)
                self._points += self._now.points
                self._tell()

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback(self._now)


class ScriptedWatch:
    """What ``watch`` returns."""

    def __init__(
        self, watchers: list[Callable[[JobView], None]], callback: Callable[[JobView], None]
    ) -> None:
        self._watchers = watchers
        self._callback = callback

    def close(self) -> None:
        """Hear no more. Idempotent."""
        if self._callback in self._watchers:
            self._watchers.remove(self._callback)


def life(steps: int, *, name: str = "churn", end: JobStatus = JobStatus.SUCCEEDED) -> Iterator[JobView]:
    """Yield the views of a job: queued, ``steps`` reports of a falling loss, the end."""
    start = time.time()
    view = JobView(id=7, name=name, kind="training", status=JobStatus.QUEUED, created_at=start)
    yield view
    running = replace(view, status=JobStatus.RUNNING, started_at=start)
    for step in range(steps):
        metrics = {"train_loss": 1 / (step + 1), "valid_loss": 1.2 / (step + 1)}
        point = Point(attempt=1, time=start + step, step=step + 1, total=steps, metrics=metrics)
        yield replace(running, points=(point,), log_tail=(f"step {step + 1} of {name}",))
    metrics = {"r2": 0.5} if end is JobStatus.SUCCEEDED else {}
    yield replace(running, status=end, finished_at=start + steps, metrics=metrics)
