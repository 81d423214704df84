"""What a running job hears: people's orders, heeded between two steps of its code.

A thread looks for the note ``orders`` and writes ``<attempt>/answers``; the code itself is only touched
where it calls us: in `report`, between two items of `track`, in `checkpoint.save` and `should_stop`. So
nothing changes under its feet. Where no code could react (an estimator's ``fit``) nothing is looked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mltemporal.errors import MLTemporalError
from mltemporal.param_values import told_values
from mltemporal.runtime import loops, stopping
from mltemporal.runtime.context import Job
from mltemporal.runtime.params import params
from mltemporal.specs.orders import ORDERS, Answer, Hears, Order, Orders
from mltemporal.storage.content import Storage

ALL = ("checkpoint_now", "stop_early", "set")
_LOCAL_S = 0.2
_REMOTE_S = 2.0
_FLUSH_S = 3.0

_listener: _Listener | None = None
_saver: Callable[[], None] | None = None


def listen(
    job: Job,
    verbs: Sequence[str],
    *,
    values: Mapping[str, Any] | None = None,
    known: Sequence[str] = (),
    stops: str = "it ends at the next item of track, or when the training asks should_stop()",
) -> dict[str, Any]:
    """Begin to hear orders, if the job's code can do anything about them; returns what was set before.

    Args:
        job: of this process.
        verbs: what can be done.
        values: the job's parameters, which `params` starts with.
        known: the names that may be set.
        stops: what is answered to ``stop_early``.
    """
    global _listener  # noqa: PLW0603 - a process has one job
    orders = job.storage.get_note(job.key, ORDERS, Orders) or Orders()
    given = {name: value for name, value in orders.params.items() if name in known}
    params.begin({**(values or {}), **given})
    if job.spec.pod.nodes > 1:
        return given  # its processes would hear of it at different steps
    _listener = _Listener(job, tuple(verbs), tuple(known), stops)
    _listener.begin(orders)
    return given


def close() -> None:
    """Hear nothing more; what is to be answered is."""
    global _listener
    if _listener is not None:
        listener, _listener = _listener, None
        listener.close()


def heed(*, whole: bool) -> None:
    """Do what was asked for meanwhile; called by the code's own thread, between two steps.

    Args:
        whole: whether the code's state is that of whole steps now, so that it can be saved.

    Raises:
        Stopped: the process was asked to end, and has waited for this moment.
    """
    if whole and stopping.waiting():
        if _saver is not None:
            _saver()
        stopping.end_waiting()
    listener = _listener
    if listener is None or not listener.due or threading.current_thread() is not threading.main_thread():
        return
    listener.heed()
    if whole and _saver is not None and listener.wants_checkpoint:
        _saver()


def should_stop() -> bool:
    """Whether the training was asked to end early, by ``job.stop_early()``, and to keep the best so far.

    For loops without `track`, which ends by itself: ``if mltemporal.should_stop(): break``. Outside a job
    it is False.
    """
    heed(whole=loops.current() is None)
    return _listener is not None and _listener.stop()


def wants_checkpoint() -> bool:
    """Whether a checkpoint is wanted now; asked by what saves by itself."""
    return _listener is not None and _listener.wants_checkpoint


def saved(step: int | None) -> None:
    """A checkpoint was saved: answer whoever waits for one."""
    if _listener is not None:
        _listener.saved(step)


def saves_by(saver: Callable[[], None]) -> None:
    """From now on ``saver`` saves the code's state at any whole step."""
    global _saver  # noqa: PLW0603
    _saver = saver
    if _listener is not None:
        _listener.tell(saves=True)


def can_save() -> bool:
    """Whether the code's state can be saved at any whole step."""
    return _saver is not None


class _Listener:
    """The thread, and what it has heard. Memory is shared under a lock; only the thread does I/O."""

    def __init__(self, job: Job, verbs: tuple[str, ...], known: tuple[str, ...], stops: str) -> None:
        self._storage = Storage(job.storage.url)  # which waits for nobody: the next look comes soon
        self._job = job
        self._hears = Hears(verbs=verbs, params=known)
        self._stops = stops
        self._every_s = _REMOTE_S if "://" in job.storage.url else _LOCAL_S
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._known: set[str] = set()
        self._saves: list[Order] = []
        self._sets: list[Order] = []
        self._values: dict[str, Any] = {}
        self._stop: Order | None = None
        self._stop_told = False
        self._answers: dict[str, Answer] = {}
        self._unwritten = False
        self.due = False
        """Whether there is something to heed."""

    def begin(self, orders: Orders) -> None:
        """Take what was ordered before, say what can be done, and look for orders from now on."""
        for order in orders.given:
            if order.verb == "stop_early" or order.attempt == self._job.attempt:
                self._take(order, orders)
        self._known.update(order.id for order in orders.given)
        self._job.storage.put_note(self._job.key, f"{self._job.attempt}/hears", self._hears)
        if self._hears.verbs:
            threading.Thread(target=self._look, name="mltemporal-orders", daemon=True).start()

    def tell(self, *, saves: bool) -> None:
        """Say what else can be done from now on."""
        self._hears = Hears(verbs=self._hears.verbs, params=self._hears.params, saves=saves)
        self._job.storage.put_note(self._job.key, f"{self._job.attempt}/hears", self._hears)

    @property
    def wants_checkpoint(self) -> bool:
        """Whether somebody waits for one."""
        return bool(self._saves)

    def heed(self) -> None:
        """Take what was set."""
        with self._lock:
            orders, self._sets = self._sets, []
            values, self._values = self._values, {}
            self.due = bool(self._saves)
        if orders:
            params.take(values)
            since = _since()
            for order in orders:
                self._answer(order, f"the training has {told_values(values)}{since}", None)

    def stop(self) -> bool:
        """Whether it is to end early; told in the job's notes once that is heeded."""
        if self._stop is None:
            return False
        if not self._stop_told:
            from mltemporal.runtime import reporting

            self._stop_told = True
            reporting.note(f"it ended early{_since('at')}, as {self._stop.by} asked, and keeps what it has")
        return True

    def saved(self, step: int | None) -> None:
        """Answer those who wait for a checkpoint."""
        with self._lock:
            orders, self._saves = self._saves, []
        for order in orders:
            self._answer(order, "a checkpoint was saved" + ("" if step is None else f" at step {step}"), step)

    def close(self) -> None:
        """Look no more, and write the last answers."""
        self._over.set()
        writer = threading.Thread(target=self._write, daemon=True)
        writer.start()
        writer.join(_FLUSH_S)  # a storage that is away must not hold up the job's end

    def _look(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                orders = self._storage.get_note(self._job.key, ORDERS, Orders)
                self._write()
            except MLTemporalError:
                continue  # storage is away: the code goes on, and the next look comes soon
            for order in orders.given if orders is not None else ():
                if order.id not in self._known and orders is not None:
                    self._known.add(order.id)
                    self._take(order, orders)

    def _take(self, order: Order, orders: Orders) -> None:
        with self._lock:
            if order.verb == "set":
                known = self._hears.params
                self._values = {name: value for name, value in orders.params.items() if name in known}
                self._sets.append(order)
            elif order.verb == "checkpoint_now":
                self._saves.append(order)
            else:
                self._stop = order
            self.due = True
        if order.verb == "stop_early":
            self._answer(order, f"asked: {self._stops}", None)

    def _answer(self, order: Order, words: str, step: int | None) -> None:
        with self._lock:
            self._answers[order.id] = Answer(words=words, step=step)
            self._unwritten = True

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                if not self._unwritten:
                    return
                answers = dict(self._answers)
                self._unwritten = False
            try:
                self._storage.put_note(self._job.key, f"{self._job.attempt}/answers", answers)
            except MLTemporalError:
                with self._lock:
                    self._unwritten = True
                raise


def _since(word: str = "since") -> str:
    loop = loops.current()
    return "" if loop is None else f" {word} step {loop.done}"


def _after_fork() -> None:
    """A forked child is not the job: it hears nothing."""
    global _listener, _saver  # noqa: PLW0603
    _listener = _saver = None


os.register_at_fork(after_in_child=_after_fork)
