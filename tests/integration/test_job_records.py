"""Looking at jobs that run and that ran: logs, metrics, history, lists."""

import time
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mltemporal
from mltemporal import session
from mltemporal.errors import InvalidRequest
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.encoding import decode


def test_the_log_is_followed_to_its_end(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:

        for i in range(30):
            print("line", i, flush=True)
            time.sleep(0.02)

    job = mltemporal.train(table, fit)
    lines = [line for line in job.logs(follow=True) if line.startswith("line")]
    assert [f"line {i}" for i in range(30)] == lines
    assert job.done()
    assert "line 28\nline 29" == job.logs(tail=2)
    assert ["line 29"] == list(job.logs(tail=1, follow=True))
    assert ("", []) == (job.logs(tail=0), list(job.logs(tail=0, follow=True)))
    with pytest.raises(InvalidRequest, match="tail=-1 is not possible"):
        job.logs(tail=-1)


def test_of_a_very_long_log_the_end_is_at_hand_and_the_whole_is_kept(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        for i in range(100_000):
            print(f"{i:059}")

    job = mltemporal.train(table, fit)
    job.wait(60)
    assert [f"{i:059}" for i in range(99_990, 100_000)] == job.logs(tail=10).splitlines()
    (attempt,) = world.database.jobs.attempts(job.id)
    with session.current().storage.local_path(decode(attempt["log_json"], ObjectRef)) as whole:
        printed = [line for line in whole.read_text().splitlines() if line.startswith("0")]
    assert 100_000 == len(printed)
    kept = sum(len(text) for _, _, text in world.database.progress.log(job.id))
    assert kept < 6 << 20


def test_metrics_and_history_are_tables(world: Any, table: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> None:
        for step in (1, 2):
            mltemporal.report(step=step, loss=1 / step, time=0.5, attempt=9)
        mltemporal.report(accuracy=float("nan"))

    job = mltemporal.train(table, fit)
    job.wait(60)
    metrics = job.metrics()
    assert ["step", "attempt", "time", "loss", "time_", "attempt_", "accuracy"] == list(metrics.columns)
    assert [1, 2, None] == [None if step is pd.NA else step for step in metrics["step"]]
    assert [1.0, 0.5] == list(metrics["loss"].dropna())
    assert metrics["time"].is_monotonic_increasing
    assert metrics["accuracy"].isna().all()
    history = job.history()
    assert ["time", "kind", "attempt", "message", "by"] == list(history.columns)
    assert ["submitted", "finished"] == [history["kind"].iloc[0], history["kind"].iloc[-1]]
    assert {"stage", "attempt", "attempt ended"} <= set(history["kind"])


def test_a_job_without_reports_has_an_empty_table(world: Any, count: Any, table: pd.DataFrame) -> None:
    job = mltemporal.train(table, count, params={"steps": 0})
    job.wait(60)
    assert (["step", "attempt", "time"], 0) == (list(job.metrics().columns), len(job.metrics()))
    assert job.progress is None


def test_jobs_models_and_datasets_are_found_again(world: Any, table: pd.DataFrame) -> None:
    named = mltemporal.train(table, LogisticRegression(), target="y", name="<b>churn</b>", tags=["nightly"])
    named.wait(60)
    assert [named.id] == [job.id for job in mltemporal.jobs(name="<b>churn</b>")]
    assert named.id in [job.id for job in mltemporal.jobs(status="succeeded", tag="nightly")]
    assert [] == mltemporal.jobs(status="failed", tag="nightly")
    ids = mltemporal.history(name="<b>churn</b>").frame["id"]
    assert named.id == mltemporal.job(ids[0]).id == mltemporal.job("<b>churn</b>").id
    assert (named.id, "LogisticRegression") == tuple(mltemporal.models().iloc[0][["job", "model"]])
    assert "parquet" in set(mltemporal.datasets().frame["format"])
    shown = mltemporal.jobs()._repr_html_() + mltemporal.history()._repr_html_()
    assert "&lt;b&gt;churn&lt;/b&gt;" in shown
    assert "<b>churn</b>" not in shown


@pytest.mark.parametrize("wanted", [True, 0, -1, None, 1.5])
def test_what_is_neither_id_nor_name_is_refused(world: Any, wanted: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mltemporal.job(wanted)
    assert f"{wanted!r} is neither id nor name\nNext step: give job(7) or job('churn')" == str(caught.value)


def test_a_repr_does_not_wait_for_anything(world: Any, forever: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(forever), "_row", None)
    assert f"<TrainingJob {forever.id} 'forever'>" == repr(forever)
