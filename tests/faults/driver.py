"""A kernel of a fault run: ``python -m faults.driver FOLDER NUMBER KERNELS``.

It does its share of the workload by the public verbs, as a notebook would whose cells are run again
after each accident: a name that is known is attached to, another is launched. It may be killed at any moment;
the next one of its number goes on.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from faults import tasks
from faults.commanding import Journal, commanded
from faults.workload import RETRIES, TIME_S, Work

import mltemporal
from mltemporal.errors import JobCancelled, JobFailed, MLTemporalError, NotFound

AT_ONCE = 3
"""So many jobs a kernel waits for at the same time."""


class Kernel:
    """What a kernel knows: the folder of the run, in which everything else stands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._witness = str(folder / "witness")
        self._rows = os.environ.get("FAULTS_TABLE", str(folder / "table"))
        (folder / "asked").mkdir(exist_ok=True)
        common = {"retries": RETRIES, "timeout": "2h", "env": {"FAULTS_CLOCK": str(folder / "clock-of-jobs")}}
        self._launches: dict[str, Callable[[Work], Any]] = {
            "function": lambda work: self._count(work, **common),
            "paused": lambda work: self._count(work, **common),
            "fails": lambda work: self._count(work, **common),
            "cancelled": lambda work: self._count(work, **common),
            "retried": lambda work: self._count(work, **common),
            "rewound": lambda work: self._count(work, **common),
            "extended": lambda work: self._count(work, **common | {"timeout": TIME_S}),
            "set": lambda work: self._train(work, tasks.tuned, self._params(work), **common),
            "stopped": lambda work: self._track(work, saves=True, **common),
            "checkpointed": lambda work: self._track(work, saves=False, **common),
            "script": lambda work: self._train(
                work, mltemporal.Script(str(folder / "script.py")), self._params(work), **common
            ),
            "baseline": lambda work: mltemporal.train(
                _table(work.seed),
                target="y",
                params={"max_iter": 60},
                seed=work.seed,
                name=work.name,
                **common,
            ),
            "estimator": lambda work: mltemporal.train(
                _table(work.seed), _estimator(work.seed), target="y", seed=work.seed, name=work.name, **common
            ),
            "preprocessing": lambda work: self._preprocess(work, **common),
            "reprocessed": lambda work: self._preprocess(work, **common),
            "inference": lambda work: mltemporal.predict(
                tasks.Tripling(self._witness, work.pause_s * 5),
                self._rows,
                keep=["id"],
                shards=6,
                workers=2,
                drift=False,
                name=work.name,
                **common,
            ),
        }

    def do(self, work: Work) -> None:
        """See the job through to its end, whatever happens, and write down what its handle said of it."""
        if self._told(work).exists():
            return
        while int((self._folder / "permits").read_text() or 0) <= work.index:
            time.sleep(0.1)
        while True:
            try:
                told = self._through(work)
                break
            except MLTemporalError as error:  # a person would run the cell again
                self._note("refusals", work, f"{type(error).__name__}: {error.args[0]}")
            except Exception:
                self._note("surprises", work, traceback.format_exc())
            time.sleep(0.3)
        path = self._told(work)
        new = path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(told))
        new.replace(path)

    def launch(self, work: Work) -> Any:
        """Run the cell."""
        return self._launches[work.kind](work)

    def _through(self, work: Work) -> dict[str, Any]:
        try:
            job = mltemporal.job(work.name)
        except NotFound:
            job = None
        if job is None or job.status == "queued":  # perhaps it was cut off before its workflow began
            job = self.launch(work)
        commanded(self._journal(work), job, work, self._repaired(work))
        try:
            job.result()
            said = "succeeded"
        except JobFailed:
            said = "failed"
        except JobCancelled:
            said = "cancelled"
        return {"job_id": job.id, "status": str(job.status), "said": said}

    def _count(self, work: Work, **options: Any) -> Any:
        params = {"fails_at": work.fails_at, "repaired": str(self._repaired(work))}
        return self._train(work, tasks.count, self._params(work) | params, **options)

    def _track(self, work: Work, *, saves: bool, **options: Any) -> Any:
        return self._train(work, tasks.tracked, self._params(work) | {"saves": saves}, **options)

    def _train(self, work: Work, trainer: Any, params: dict[str, Any], **options: Any) -> Any:
        return mltemporal.train(_table(0), trainer, params=params, name=work.name, **options)

    def _preprocess(self, work: Work, **options: Any) -> Any:
        return mltemporal.preprocess(
            self._rows,
            steps=[tasks.doubled(self._witness, work.pause_s * 5)],
            shards=6,
            workers=2,
            name=work.name,
            **options,
        )

    def _params(self, work: Work) -> dict[str, Any]:
        return {
            "seed": work.seed,
            "steps": work.steps,
            "pause_s": work.pause_s,
            "witness": self._witness,
        }

    def _repaired(self, work: Work) -> Path:
        return self._folder / "repaired" / work.name

    def _journal(self, work: Work) -> Journal:
        return Journal(self._folder / "asked" / f"{work.name}.jsonl")

    def _told(self, work: Work) -> Path:
        return self._folder / "told" / f"{work.name}.json"

    def _note(self, what: str, work: Work, text: str) -> None:
        with (self._folder / what).open("a") as file:
            file.write(json.dumps({"work": work.name, "text": text}) + "\n")


def _table(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=400), rng.normal(size=400)
    return pd.DataFrame({"x": x, "z": z, "y": (x + 0.3 * z > 0).astype(int)})


def _estimator(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=250, random_state=seed)


def main(folder: str, number: str, kernels: str) -> int:
    """Do the share ``number`` of the workload."""
    run = Path(folder)
    share = [Work(**each) for each in json.loads((run / "plan.json").read_text())][
        int(number) :: int(kernels)
    ]
    kernel = Kernel(run)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(kernel.do, share))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
