"""How much of what one attempt says is kept in the record.

`mltemporal.report` stays below by itself. But any program can print progress lines, as many as it
likes: the record must not grow with that, and the rest of the jobs must not wait for it. Whole
output stays in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mltemporal.database.progress import Said
from mltemporal.progress import MAX_NAME_LENGTH

BURST, PER_SECOND = 10_000, 400
"""Points at once, and then each second; one of more than a kilobyte counts as several."""
MANY = 500_000
"""From so many points on, one a second is recorded."""
MOST_NAMES = 1_000
MOST_NOTES = 200
MOST_ARTIFACTS = 10_000

_TOO_FAST = (
    "it reports faster than is recorded: of its points some are left out, the newest one is kept. "
    f"The record takes {PER_SECOND} a second, and one a second after {MANY:,}"
)
_TOO_MANY_NAMES = f"more than {MOST_NAMES:,} different metrics: those that came later are left out"
_NAME_TOO_LONG = f"names of metrics have at most {MAX_NAME_LENGTH} characters: longer ones are left out"
_TOO_MANY_NOTES = f"more than {MOST_NOTES} notes: those that came later are in the log only"
_TOO_MANY_ARTIFACTS = f"more than {MOST_ARTIFACTS:,} artifacts: those that came later are not listed"


@dataclass
class Allowance:
    """Counts on from what is recorded, so that it holds however often another worker takes over."""

    said: Said
    clock: Callable[[], float] = time.time
    _points: int = field(init=False)
    _notes: int = field(init=False)
    _artifacts: int = field(init=False)
    _names: set[str] = field(init=False)
    _told: set[str] = field(init=False)
    _untold: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._points, self._artifacts = self.said.points, self.said.artifacts
        self._told = set(self.said.notes)
        self._notes = len(self.said.notes)
        self._names = set(self.said.names)

    @property
    def has_room(self) -> bool:
        """Whether a small point would be recorded now."""
        return self._points + 1 <= self._most

    @property
    def _most(self) -> float:
        age = max(0.0, self.clock() - self.said.since)
        return min(BURST + PER_SECOND * age, MANY + age)

    def point(self, size_bytes: int) -> bool:
        """Whether another point is recorded, whose line has so many bytes."""
        cost = 1 + size_bytes // 1024
        if self._points + cost > self._most:
            return self._refuse(_TOO_FAST)
        self._points += cost
        return True

    def metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the metrics whose names are recorded."""
        if metrics.keys() <= self._names:
            return metrics
        return {name: value for name, value in metrics.items() if self._name(name)}

    def note(self) -> bool:
        """Whether another note is recorded."""
        self._notes += 1
        return self._notes <= MOST_NOTES or self._refuse(_TOO_MANY_NOTES)

    def artifact(self) -> bool:
        """Whether another artifact is recorded."""
        self._artifacts += 1
        return self._artifacts <= MOST_ARTIFACTS or self._refuse(_TOO_MANY_ARTIFACTS)

    def untold(self) -> list[str]:
        """Return in words what was left out, each once."""
        told, self._untold = self._untold, []
        return told

    def _name(self, name: str) -> bool:
        if name in self._names:
            return True
        if len(name) > MAX_NAME_LENGTH:
            return self._refuse(_NAME_TOO_LONG)
        if len(self._names) >= MOST_NAMES:
            return self._refuse(_TOO_MANY_NAMES)
        self._names.add(name)
        return True

    def _refuse(self, words: str) -> bool:
        if words not in self._told:
            self._told.add(words)
            self._untold.append(words)
        return False
