"""Watches all processes of a run, so that two attempts of one job are seen whatever their code is."""

from __future__ import annotations

import threading
from collections import defaultdict
from itertools import combinations

from .world import World

EVERY_S = 0.25


class Sampler:
    """Looks several times a second; `tasks.witnessed` notices exactly, where there is user code."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self.overlaps: list[str] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Idempotent."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Write down who is alive together and must not be."""
        alive = defaultdict(list)
        for each in self._world.trainings():
            alive[each.key].append(each)
        for key, found in alive.items():
            still = [each for each in found if each.training.alive]  # of the one that was just replaced
            for one, other in combinations(still, 2):
                (number, rank), (others, others_rank) = one.place, other.place
                if number != others or rank == others_rank:
                    self.overlaps.append(f"alive together: {one.name} and {other.name} of {key}")

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self.look()
