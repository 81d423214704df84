"""What a running job hears, between two steps of its code."""

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import mltemporal
from mltemporal.errors import InvalidRequest
from mltemporal.runtime import checkpoint, control, stopping
from mltemporal.runtime.checkpoint import Checkpoint
from mltemporal.runtime.context import Job
from mltemporal.runtime.params import Params
from mltemporal.runtime.reporting import report
from mltemporal.runtime.tracking import track
from mltemporal.specs.orders import Answer, Hears, Order, Orders


@pytest.fixture(autouse=True)
def fresh_params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.setattr(mltemporal.params, "_values", {})
    monkeypatch.setattr(mltemporal.params, "_of_a_job", False)
    return mltemporal.params


@pytest.fixture
def order(job: Job) -> Callable[..., None]:
    """Give an order, and wait until the process has heard of it."""
    given: list[Order] = []

    def give(verb: str, **params: Any) -> None:
        given.append(Order(id=f"order-{len(given)}", verb=verb, by="me@here", attempt=1))
        job.storage.put_note(job.key, "orders", Orders(params=params, given=tuple(given)))
        deadline = time.monotonic() + 20
        listener = control._listener
        assert listener is not None
        while given[-1].id not in listener._known or (verb != "stop_early" and not listener.due):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return give


@pytest.fixture
def listening(job: Job) -> Any:
    control.listen(job, control.ALL, values={"lr": 0.1, "depth": 3}, known=["lr", "depth"])
    yield
    control.close()


def answers(job: Job) -> dict[str, Answer]:
    control.close()
    return job.storage.get_note(job.key, "1/answers", dict[str, Answer]) or {}


def test_outside_a_job_there_are_no_parameters_and_some_can_be_put_there(fresh_params: Params) -> None:
    assert {} == dict(fresh_params)
    fresh_params["lr"] = 0.1
    fresh_params.update({"depth": 3}, layers=[1])
    assert (0.1, 3, None) == (fresh_params["lr"], fresh_params.get("depth"), fresh_params.get("none"))
    fresh_params.clear()
    assert 0 == len(fresh_params)
    assert not mltemporal.should_stop()


def test_code_that_travels_finds_the_parameters_of_where_it_runs(fresh_params: Params) -> None:
    fresh_params["lr"] = 0.1
    assert pickle.loads(pickle.dumps(fresh_params)) is fresh_params


def test_in_a_job_they_are_read_only_and_begin_as_it_was_launched(job: Job, listening: Any) -> None:
    assert {"lr": 0.1, "depth": 3} == dict(mltemporal.params)
    with pytest.raises(InvalidRequest, match="read-only"):
        mltemporal.params["lr"] = 1
    assert Hears(verbs=control.ALL, params=("lr", "depth")) == job.storage.get_note(job.key, "1/hears", Hears)


def test_what_is_set_is_seen_at_the_next_report_and_not_before(
    job: Job, listening: Any, order: Callable[..., None]
) -> None:
    order("set", lr=0.5)
    assert 0.1 == mltemporal.params["lr"]
    report(loss=1.0)
    assert {"lr": 0.5, "depth": 3} == dict(mltemporal.params)
    assert {"order-0": Answer(words="the training has lr=0.5")} == answers(job)


def test_the_next_attempt_begins_with_what_was_set(job: Job) -> None:
    orders = Orders(params={"lr": 0.5, "of another": 1}, given=(Order(id="a", verb="set", attempt=1),))
    job.storage.put_note(job.key, "orders", orders)
    assert {"lr": 0.5} == control.listen(Job(job.storage, job.key, 2), control.ALL, known=["lr"])
    assert {"lr": 0.5} == dict(mltemporal.params)
    control.close()


def test_a_loop_that_is_to_stop_early_ends_before_its_next_item(
    job: Job, listening: Any, order: Callable[..., None]
) -> None:
    done = []
    for item in track(range(10)):
        done.append(item)
        if item == 3:
            order("stop_early")
            assert mltemporal.should_stop()
    assert [0, 1, 2, 3] == done


def test_a_forest_that_is_to_stop_early_has_a_tree_at_least(
    job: Job, listening: Any, order: Callable[..., None]
) -> None:
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    from mltemporal.runtime.trainers.resuming import how_to_fit

    forest = RandomForestRegressor(n_estimators=100, random_state=1)
    order("stop_early")
    features = np.arange(20.0).reshape(-1, 1)
    how_to_fit(forest, 20)(forest, features, features[:, 0])
    assert 1 <= len(forest.estimators_) < 100
    assert len(forest.predict(features)) == 20


def test_a_checkpoint_is_saved_when_it_is_asked_for_at_the_end_of_the_item(
    job: Job, listening: Any, order: Callable[..., None]
) -> None:
    state: list[int] = []
    checkpoint.on_stop(lambda: state)
    for item in track(range(4)):
        state.append(item)
        if item == 1:
            order("checkpoint_now")
            report(loss=1.0)
            assert checkpoint.load() is None, "the item is not done"
    assert [0, 1] == checkpoint.load()
    assert {"order-0": Answer(words="a checkpoint was saved at step 2", step=2)} == answers(job)


def test_what_the_code_saves_by_itself_answers_too(
    job: Job, listening: Any, order: Callable[..., None]
) -> None:
    order("checkpoint_now")
    checkpoint.save("state", step=40)
    assert 40 == answers(job)["order-0"].step


def test_asked_to_end_the_code_goes_on_until_its_state_is_saved(
    job: Job, listening: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_asked", "_waiting"):
        monkeypatch.setattr(stopping, name, False)
    before = signal.getsignal(signal.SIGTERM)
    stopping.stop_on_sigterm()
    state: list[int] = []
    checkpoint.on_stop(lambda: state)

    def work() -> None:
        for item in track(range(10)):
            state.append(item)
            if item == 4:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                state.append("the item ends")  # type: ignore[arg-type]

    try:
        with pytest.raises(stopping.Stopped):
            work()
    finally:
        signal.signal(signal.SIGTERM, before)
    (saved,) = job.storage.get_note(job.key, "checkpoints", list[Checkpoint]) or []
    assert (5, 5) == (saved.step, saved.done)
    assert [0, 1, 2, 3, 4, "the item ends"] == checkpoint.load()
    for timer in (each for each in threading.enumerate() if isinstance(each, threading.Timer)):
        timer.join(5)
        assert not timer.is_alive(), "it would end this process later"
