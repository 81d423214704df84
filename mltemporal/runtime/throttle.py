"""A token bucket in front of a sink, so that reports never flood it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_MOST_HELD_BACK = 16
_LOOK_AGAIN_S = 0.2


class Throttle:
    """Lets a burst and then a steady rate of reports through; holds back the newest of the rest.

    Reports with the same metric names are one series. Of each the newest is held back, and goes
    out when there is a token again or at `flush`; each that gives way to a newer one is counted.
    Safe from several threads.
    """

    def __init__(
        self,
        sink: Callable[[dict[str, Any]], None],
        *,
        burst: float,
        refill_per_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._burst = burst
        self._refill_per_s = refill_per_s
        self._clock = clock
        self._tokens = float(burst)
        self._refilled_at = clock()
        self._held_back: dict[tuple[str, ...], dict[str, Any]] = {}
        self._dropped = 0
        self._waiter: threading.Thread | None = None
        self._lock = threading.RLock()  # a garbage collection inside may run code that reports

    def offer(self, fields: dict[str, Any]) -> None:
        """Send a report now, or hold it back."""
        series = tuple(fields["metrics"])
        with self._lock:
            if self._held_back.pop(series, None) is not None:
                self._dropped += 1
            if self._take():
                self.send(fields)
                return
            self._held_back[series] = fields
            if len(self._held_back) > _MOST_HELD_BACK:
                self._held_back.pop(next(iter(self._held_back)))
                self._dropped += 1
            if self._waiter is None:
                self._wait()

    def send(self, fields: dict[str, Any]) -> None:
        """Send ``fields`` whatever the rate is."""
        with self._lock:
            if self._dropped and "metrics" in fields:
                fields["dropped"] = self._dropped
            try:
                self._sink(fields)
            except OSError:
                self._dropped += 1  # a full disk or a closed pipe must not end the training

    def flush(self) -> None:
        """Send what is held back, oldest first."""
        with self._lock:
            while self._held_back:
                self._send_oldest()

    def _send_oldest(self) -> None:
        self.send(self._held_back.pop(next(iter(self._held_back))))

    def _take(self) -> bool:
        if self._tokens < 1:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._refilled_at) * self._refill_per_s)
            self._refilled_at = now
            if self._tokens < 1:
                return False
        self._tokens -= 1
        return True

    def _wait(self) -> None:
        waiter = threading.Thread(target=self._send_when_allowed, name="mltemporal-reports", daemon=True)
        try:
            waiter.start()
        except RuntimeError:
            return  # the interpreter is ending: the flush at exit sends the rest
        self._waiter = waiter

    def _send_when_allowed(self) -> None:
        while True:
            time.sleep(_LOOK_AGAIN_S)
            with self._lock:
                while self._held_back and self._take():
                    self._send_oldest()
                if not self._held_back:
                    self._waiter = None
                    return
