"""What the README shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import mltemporal

README = (Path(__file__).parents[2] / "README.md").read_text()


def snippet(start: str) -> str:
    """The Python block of the README that begins so."""
    return next(
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if block.startswith(start)
    )


@pytest.fixture
def names(world: Any, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the reader of the README has in a notebook by then."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales").mkdir()
    table.rename(columns={"x": "price"}).to_parquet(tmp_path / "sales" / "2025.parquet")
    (tmp_path / "train.py").write_text("print('trained')")
    (tmp_path / "confusion.png").write_bytes(b"a picture")
    given = {"dataset": table, "iris": load_iris(as_frame=True), "loss": 0.5, "model": None}
    public = {name: getattr(mltemporal, name) for name in mltemporal.__all__}
    return {**public, "mltemporal": mltemporal, "RandomForestClassifier": RandomForestClassifier, **given}


def test_what_you_can_train(names: dict[str, Any]) -> None:
    exec(snippet("def fit(data"), names)
    launched = []
    names["train"] = lambda *args, **kwargs: launched.append(mltemporal.train(*args, **kwargs))

    exec(snippet("train(dataset)"), names)

    assert 5 == len(launched)
    assert [None] * 5 == [job.exception(90) for job in launched]


def test_preparing_and_scoring(names: dict[str, Any]) -> None:
    exec(snippet("from mltemporal import steps"), names)

    prepared, scored = names["prepared"].result(), names["scored"].result()
    assert 400 == prepared.train.rows + prepared.test.rows
    assert 400 == scored.rows
    assert ["price", "prediction"] == list(scored.frame(5))


def test_watching(names: dict[str, Any]) -> None:
    exec(snippet("monitor(every"), names)

    assert names["monitor"]().stop()


async def test_the_handle(names: dict[str, Any]) -> None:
    mpl.use("agg")
    job = names["job"] = mltemporal.train(names["dataset"], name="churn")
    job.result(90)
    lines = [line.partition("#")[0].strip() for line in snippet("job.status").splitlines()]
    ended = ("job.cancel()",)  # what this line commands needs a job that runs

    for line in lines:
        if "await" in line:
            assert mltemporal.TrainingResult is type(await job)
        elif line and not line.startswith(ended):
            exec(line.replace("job(7)", f"job({job.id})"), names)


def test_commanding_a_job_that_runs(names: dict[str, Any], until: Any) -> None:
    def fit(data: pd.DataFrame, lr: float = 0.1) -> dict[str, float]:
        import time

        for step in mltemporal.track(range(4000)):
            mltemporal.report(lr=mltemporal.params["lr"])
            mltemporal.checkpoint.save(step)
            time.sleep(0.05)
        return {"lr": mltemporal.params["lr"]}

    job = names["job"] = mltemporal.train(names["dataset"], fit, params={"lr": 0.1}, name="commanded")
    until(lambda: job.progress and job.progress.step)
    lines = [line.partition("#")[0].strip() for line in snippet("job.set(lr").splitlines()]
    *running, rewind = [line for line in lines if line]

    for line in running:
        exec(line, names)

    assert {"lr": 0.01} == job.result(90).value
    told = job.history().query("kind == 'command'").message
    assert ["set", "checkpoint_now", "extend", "stop_early"] == [message.split()[0] for message in told]
    exec(rewind, names)
    until(lambda: job.status == "running")
    assert job.stop_early()
    assert job.result(90).metrics
