"""A whole run: workload and faults keep pace with each other, then all comes to rest and is checked."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from mltemporal.errors import MLTemporalError

from .driver import Kernel
from .gathering import gathered, mended
from .invariants import breaches
from .record import Record
from .sampling import Sampler
from .schedule import scheduled
from .tasks import ROWS, SCRIPT
from .workload import planned, undisturbed
from .worlds import LIVE, MOST_DEATHS, world_of

AHEAD = 2 * LIVE
"""So many jobs may be launched before the faults that are meant for them have come."""
SETTLE_S = 420.0
"""So long after the last fault everything must have ended: longer than any pause between two attempts."""
LASTING = 3
"""So many faults last at the same time, at most."""


@dataclass(kw_only=True)
class Outcome:
    """What a run came to."""

    seed: int
    world: str
    folder: Path
    record: Record
    faults: Counter[str]
    breaches: dict[str, list[str]]
    mended: list[str]
    refusals: Counter[str]
    took_s: float
    settled_s: float
    left_out: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        """How many breaches there are."""
        return sum(len(found) for found in self.breaches.values())


class Run:
    """One run.

    Args:
        seed: from which workload and faults follow.
        jobs: how many jobs.
        faults: how many faults hit something.
        say: told what happens.
        only: kinds of faults; none takes all of them.
        world: ``laptop`` or ``team``.
    """

    def __init__(
        self,
        seed: int,
        *,
        jobs: int,
        faults: int,
        say: Callable[[str], None],
        only: tuple[str, ...] = (),
        world: str = "laptop",
    ) -> None:
        self._seed, self._faults, self._say = seed, faults, say
        self._only = only
        kind = world_of(world)
        self.folder = Path(tempfile.mkdtemp(prefix="mltemporal-faults-", dir=kind.parent))
        self.world = kind(self.folder)
        self.plan = planned(seed, jobs)
        compared = {(work.kind, work.seed) for work in self.plan}
        self.undisturbed = [work for work in undisturbed() if (work.kind, work.seed) in compared]
        self.hit: Counter[str] = Counter()
        self._lasting: list[threading.Thread] = []
        self._over = threading.Event()
        self._troubles: list[str] = []
        self._began = time.monotonic()

    @property
    def again(self) -> str:
        """The command that runs it again."""
        only = "".join(f" --only {kind!r}" for kind in self._only)
        return (
            f"python tests/faults --world {self.world.name} --seed {self._seed} --jobs {len(self.plan)} "
            f"--faults {self._faults}{only}"
        )

    def carry_out(self) -> Outcome:
        """Run, heal, wait, check; the folder is kept where something is broken."""
        world = self.world
        self._write_inputs()
        sampler = Sampler(world)
        self._say(f"seed {self._seed}: {len(self.plan)} jobs, {self._faults} faults, in {self.folder}")
        try:
            world.open()
            self._undisturbed()
            sampler.start()
            attendant = threading.Thread(target=self._attend, name="attendant")
            attendant.start()
            self._strike()
            healed_at = self._heal()
            settled = self._settle()
            self._over.set()
            attendant.join()
            settled_s = time.monotonic() - healed_at
            self._say(f"{'settled' if settled else 'NOT settled'} {settled_s:.0f} s after the last fault")
            self._up()
            record = gathered(world, self.plan, self.undisturbed)
            did = mended(world)
            left = [str(path) for path in world.home.glob("launch/*")]
            self._say(f"the monitor found {len(did)} things to mend; {len(left)} environments left")
            record.overlaps += sampler.overlaps
            record.surprises += [*self._troubles, *(each for each in did if each.startswith("FAILED"))]
            sampler.stop()
            record.kubernetes = world.kubernetes_left()
            record.processes = world.close()
            record.files = world.files_left()
            record.locks = world.locks_left()
        finally:
            self._over.set()
            world.healed.set()
            sampler.stop()
            world.close()
            self._keep_logs()
            world.give_back()
        outcome = Outcome(
            seed=self._seed,
            world=world.title,
            folder=self.folder,
            record=record,
            faults=self.hit,
            breaches=breaches(record),
            mended=did,
            refusals=self._refusals(),
            took_s=time.monotonic() - self._began,
            settled_s=settled_s,
            left_out=world.left_out,
        )
        if not outcome.broken:
            shutil.rmtree(self.folder)
        return outcome

    # Below: the parts of a run, in their order

    def _write_inputs(self) -> None:
        folder = self.folder
        (folder / "plan.json").write_text(json.dumps([asdict(work) for work in self.plan]))
        (folder / "script.py").write_text(SCRIPT)
        table = folder / "table"
        table.mkdir()
        for part in range(3):
            ids = range(part * ROWS // 3, (part + 1) * ROWS // 3)
            pd.DataFrame({"id": ids, "x": [float(i) for i in ids]}).to_parquet(
                table / f"{part}.parquet", row_group_size=100
            )

    def _undisturbed(self) -> None:
        """Run what the others are compared with, before the first fault."""
        kernel = Kernel(self.folder)
        for job in [kernel.launch(work) for work in self.undisturbed]:
            job.result(300)

    def _strike(self) -> None:
        """Let the faults come, in step with the jobs."""
        plan, wanted = len(self.plan), self._faults
        for due in scheduled(self._seed, self.world.faults):
            done = sum(self.hit.values())
            if done >= wanted:
                return
            if self._only and due.kind not in self._only:
                continue
            self._permit(min(plan, AHEAD + done * plan // wanted))
            self._await(lambda done=done: self._ended() >= done * plan // wanted - AHEAD)  # type: ignore[misc]
            time.sleep(due.after_s * self.world.pace)
            self._await(lambda: self.world.busy or self._ended() >= plan, patience_s=5)
            self._lasting = [each for each in self._lasting if each.is_alive()]
            while len(self._lasting) >= LASTING:
                self._lasting[0].join(0.1)
                self._lasting = [each for each in self._lasting if each.is_alive()]
            striking = threading.Thread(target=self._one, args=(due.kind, due.seed), name=due.kind)
            striking.start()
            self._lasting.append(striking)
            striking.join(0.5)  # most are over at once: then the next one knows whether it hit

    def _one(self, kind: str, seed: str) -> None:
        fault, _ = self.world.faults[kind]
        try:
            hit = fault.strike(self.world, random.Random(f"{kind} {seed}"))
        except Exception:
            self._troubles.append(f"the fault {kind!r} itself: {traceback.format_exc()[-600:]}")
            return
        if hit:
            self.hit[kind] += 1
            self._say(f"{sum(self.hit.values()):4d} {self._ended():4d} ended  {kind}: {hit}")

    def _heal(self) -> float:
        self.world.healed.set()
        for each in self._lasting:
            each.join()
        self.world.recover()
        self._permit(len(self.plan))
        return time.monotonic()

    def _settle(self) -> bool:
        deadline = time.monotonic() + SETTLE_S
        while len(self.world.kernels.done) < self.world.kernels.number:
            if time.monotonic() > deadline or len(self.world.kernels.deaths) > MOST_DEATHS:
                return False
            time.sleep(0.2)
        return True

    def _attend(self) -> None:
        """Do what people do: start kernels again, and the stack where it is gone."""
        rng = random.Random(f"attendant {self._seed}")
        while not self._over.wait(0.3):
            try:
                self.world.kernels.tend()
                if self.world.state is None:
                    self._over.wait(rng.uniform(0.1, 3.0))
                    self._up()
            except Exception:
                self._troubles.append(f"starting the stack again: {traceback.format_exc()[-600:]}")

    def _up(self) -> None:
        try:
            self.world.up()
        except MLTemporalError as error:  # the disk is full, say: the next try is a moment away
            self._say(f"          up: {error.args[0]}")

    def _await(self, reached: Callable[[], bool], patience_s: float = 60) -> None:
        """Wait for the jobs to keep pace; faults go on after a while, whatever the jobs do."""
        deadline = time.monotonic() + patience_s
        while not reached() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _permit(self, number: int) -> None:
        new = self.folder / "permits.new"
        new.write_text(str(number))
        new.replace(self.folder / "permits")

    def _ended(self) -> int:
        return len(list((self.folder / "told").glob("*.json")))

    def _refusals(self) -> Counter[str]:
        told = (json.loads(line) for line in (self.folder / "refusals").read_text().splitlines())
        return Counter(each["text"].partition(":")[0] for each in told)

    def _keep_logs(self) -> None:
        """Copy what explains a breach off the disks that are about to go."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        for path in self.world.logs:
            if path.is_dir():
                shutil.copytree(path, logs / path.name, dirs_exist_ok=True)
            elif path.exists():
                shutil.copy(path, logs / f"{path.parent.name}-{path.name}")
