"""A training that is killed again and again, as a real process, comes to what an undisturbed one comes to."""

import signal
import time
from collections.abc import Callable

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from mltemporal.model_files import load_model
from mltemporal.runtime import checkpoint
from mltemporal.runtime.checkpoint import Checkpoint
from mltemporal.runtime.context import Job
from mltemporal.runtime.tracking import track
from mltemporal.specs.orders import Order, Orders

KILLS = 3


def walker():  # type: ignore[no-untyped-def]
    """Return a training by steps with random numbers; all it needs to go on is in its checkpoint."""

    def walk(data, steps=60, seed=0):  # type: ignore[no-untyped-def]
        import time

        import numpy as np

        from mltemporal import checkpoint, report, track

        state = checkpoint.load() or {"rng": np.random.default_rng(seed), "weights": np.zeros(3), "loss": []}
        for _ in track(range(steps)):
            state["weights"] = state["weights"] + state["rng"].normal(size=3) * float(data["x"].mean())
            state["loss"].append(float(np.abs(state["weights"]).sum()))
            report(loss=state["loss"][-1])
            checkpoint.save(state)
            time.sleep(0.02)
        return {"steps": steps, "loss": state["loss"], "weights": state["weights"].tolist()}

    return walk


def killed_thrice(runner, steps_between: int) -> None:  # type: ignore[no-untyped-def]
    """Run and kill (-9) three attempts, each some steps after the checkpoint before; start the last one."""
    reached = 0
    for attempt in range(1, KILLS + 1):
        process = runner.start(attempt)
        deadline = time.monotonic() + 90
        ask_for_checkpoint(runner, attempt)
        while (saved := newest_step(runner)) < reached + steps_between:
            assert process.poll() is None, runner.log.read_text()
            assert time.monotonic() < deadline, runner.log.read_text()
            time.sleep(0.01)
        reached = saved
        process.send_signal(signal.SIGKILL)
        process.wait()
    runner.start(KILLS + 1)


def ask_for_checkpoint(runner, attempt: int) -> None:  # type: ignore[no-untyped-def]
    """Have one saved soon, also where a training of seconds would not save by itself."""
    order = Order(id=f"order-{attempt}", verb="checkpoint_now", attempt=attempt)
    runner.storage.put_note("job-1", "orders", Orders(given=(order,)))


def newest_step(runner) -> int:  # type: ignore[no-untyped-def]
    entries = runner.storage.get_note("job-1", "checkpoints", list[Checkpoint]) or []
    return int(entries[-1].step or 0) if entries else 0


@pytest.fixture
def table() -> pd.DataFrame:
    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.normal(size=(2_000, 8)), columns=[f"x{i}" for i in range(8)])
    frame["y"] = frame["x0"] * frame["x1"] + np.sin(3 * frame["x2"]) + random.normal(size=len(frame)) / 4
    return frame


def test_a_functions_result_after_three_kills_is_that_of_an_undisturbed_run(runner) -> None:  # type: ignore[no-untyped-def]
    data = pd.DataFrame({"x": [0.5, 1.5]})
    trainer = runner.code("function", (walker(), {"steps": 60}))
    undisturbed = runner.run(data, trainer)
    runner.storage.put_note("job-1", "checkpoints", [])
    killed_thrice(runner, 10)
    resumed = runner.finish()

    def value(run):  # type: ignore[no-untyped-def]
        return cloudpickle.loads(runner.storage.get_bytes(run.output.value))

    assert value(undisturbed) == value(resumed)
    assert 60 == len(value(resumed)["loss"])
    assert any("the loop goes on after item" in line.text for line in resumed.lines if line.event == "note")
    first = next(step for step in resumed.steps if step is not None)
    assert list(range(first, 60)) == [
        line.step for line in resumed.lines if line.event == "report" and line.metrics
    ]


@pytest.mark.timeout(300)
def test_the_baselines_model_after_three_kills_is_that_of_an_undisturbed_run(  # type: ignore[no-untyped-def]
    runner, table: pd.DataFrame
) -> None:
    trainer = runner.code("baseline", {"max_iter": 500, "learning_rate": 0.01, "early_stopping": False})
    undisturbed = runner.run(table, trainer, target="y")
    runner.storage.put_note("job-1", "checkpoints", [])
    killed_thrice(runner, 1)
    resumed = runner.finish()

    assert undisturbed.output.metrics == resumed.output.metrics
    features = table.drop(columns=["y"])
    models = [load_model(run.output.model, runner.storage) for run in (undisturbed, resumed)]
    predictions = [model.predict(features) for model in models]
    assert np.array_equal(*predictions)
    assert any("resumed after iteration" in line.text for line in resumed.lines if line.event == "note")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_an_estimator_that_is_killed_goes_on_and_gives_the_very_same_model(  # type: ignore[no-untyped-def]
    runner, table: pd.DataFrame, kind: str
) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

    estimator = RandomForestRegressor(n_estimators=120, random_state=3)
    if kind == "boosting":
        estimator = HistGradientBoostingRegressor(max_iter=400, early_stopping=False, random_state=3)
    trainer = runner.code("estimator", estimator)
    runner.ask(table, trainer, target="y")
    process = runner.start(1)
    ask_for_checkpoint(runner, 1)
    deadline = time.monotonic() + 90
    while not newest_step(runner):
        assert process.poll() is None, runner.log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    runner.start(2)
    resumed = runner.finish()
    assert any("resumed after" in line.text for line in resumed.lines if line.event == "note"), resumed.log

    from sklearn.base import clone

    from mltemporal.runtime.splitting import hold_out

    seen, _ = hold_out(table, "y", share=0.2, seed=0, stratify=False)
    plain = clone(estimator).fit(seen.drop(columns=["y"]), seen["y"])
    features = table.drop(columns=["y"])
    model = load_model(resumed.output.model, runner.storage)
    assert plain.get_params() == model.get_params()
    assert np.array_equal(plain.predict(features), model.predict(features))


def test_only_what_resumes_to_the_very_same_model_is_fitted_resumably() -> None:
    from sklearn import ensemble, linear_model
    from sklearn.pipeline import make_pipeline

    from mltemporal.runtime.trainers.resuming import how_to_fit

    class Mine(ensemble.RandomForestRegressor):
        pass

    forest = ensemble.RandomForestRegressor(random_state=1)
    boosting = ensemble.HistGradientBoostingClassifier()
    assert how_to_fit(forest, 10)
    assert how_to_fit(boosting, 10)
    for other in (
        ensemble.RandomForestRegressor(),
        ensemble.RandomForestRegressor(random_state=1, oob_score=True),
        ensemble.RandomForestClassifier(random_state=1, class_weight="balanced"),
        ensemble.RandomForestClassifier(random_state=1, warm_start=True),
        ensemble.HistGradientBoostingRegressor(max_features=0.5),
        ensemble.HistGradientBoostingRegressor(early_stopping=True, scoring="r2"),
        ensemble.GradientBoostingRegressor(random_state=1),
        linear_model.SGDRegressor(random_state=1),
        make_pipeline(forest),
        Mine(random_state=1),
    ):
        assert how_to_fit(other, 10) is None, other


def loaded_from(saved_in: Callable[[], object], job: Job) -> None:
    """Save in a loop as the attempt before, and load as this one."""
    saved_in()
    from mltemporal.runtime import loops

    loops._begun = 0
    checkpoint.load()


def in_loop(items: int, at: int, saves: int = 1) -> None:
    for item in track(range(items)):
        if item == at + 1:
            break
        if item == at and saves == 2:
            checkpoint.save("state")
            checkpoint.save("state")
        elif item == at:
            checkpoint.save("state")


def test_a_loop_goes_on_after_the_item_in_which_its_checkpoint_was_saved(job: Job) -> None:
    loaded_from(lambda: in_loop(10, 3), job)
    assert [4, 5, 6, 7, 8, 9] == list(track(range(10)))
    assert 10 == len(list(track(range(10)))), "once"


def test_a_list_is_gone_through_from_there_too_and_what_is_no_sequence_from_its_beginning(job: Job) -> None:
    def spell() -> None:
        for letter in track(["a", "b", "c", "d"]):
            if letter == "c":
                break
            checkpoint.save(letter)

    loaded_from(spell, job)
    assert ["c", "d"] == list(track(["a", "b", "c", "d"]))
    loaded_from(lambda: in_loop(4, 1), job)
    assert ["a", "b", "c", "d"] == list(track(iter("abcd"), total=4))


def test_nothing_is_left_out_where_the_code_loaded_no_checkpoint(job: Job) -> None:
    in_loop(10, 3)
    from mltemporal.runtime import loops

    loops._begun = 0
    assert list(range(10)) == list(track(range(10)))


@pytest.mark.parametrize(
    "loop",
    [
        lambda: track(range(4, 10)),
        lambda: track(range(10), initial=0),
        lambda: track(range(11)),
    ],
    ids=["its own beginning", "initial", "another length"],
)
def test_nothing_is_left_out_where_the_loop_says_itself_where_it_begins(job: Job, loop) -> None:  # type: ignore[no-untyped-def]
    loaded_from(lambda: in_loop(10, 3), job)
    items = list(loop())
    assert items[0] in (0, 4)
    assert items == list(range(items[0], items[-1] + 1))
    assert items[-1] in (9, 10)


def test_nothing_is_left_out_in_a_loop_that_saves_within_its_items(job: Job) -> None:
    loaded_from(lambda: in_loop(10, 3, saves=2), job)
    assert list(range(10)) == list(track(range(10)))


def test_only_the_loop_that_saved_goes_on(job: Job) -> None:
    def second_saves() -> None:
        list(track(range(10)))
        in_loop(10, 6)

    loaded_from(second_saves, job)
    assert list(range(10)) == list(track(range(10)))
    assert [7, 8, 9] == list(track(range(10)))


def test_a_first_item_that_did_not_end_is_gone_through_again(job: Job) -> None:
    def killed() -> None:
        for item in track(range(10)):
            if item == 2:
                checkpoint.save("state")
                break  # as if killed: the item did not end

    loaded_from(killed, job)
    assert list(range(2, 10)) == list(track(range(10)))


def test_once_an_item_ended_a_save_in_that_place_ends_the_next_in_later_attempts_too(job: Job) -> None:
    def killed_at(last: int) -> None:
        for item in track(range(10)):
            checkpoint.save(item)
            if item == last:
                break

    loaded_from(lambda: killed_at(3), job)
    killed_at(4)
    loaded_from(lambda: None, job)
    assert [5, 6, 7, 8, 9] == list(track(range(10)))


def train_fold(last: int) -> None:
    for epoch in range(5):
        if epoch == last:
            checkpoint.save("state")


@pytest.mark.parametrize("deep", [True, False], ids=["in a function", "in the body"])
def test_nothing_is_left_out_where_a_loop_inside_an_item_saves(job: Job, deep: bool) -> None:
    def nested() -> None:
        for fold in track(range(5)):
            if fold == 2:
                break
            if deep:
                train_fold(1)
                continue
            for epoch in range(5):
                if epoch == 1:
                    checkpoint.save("state")

    loaded_from(nested, job)
    assert list(range(5)) == list(track(range(5)))


def test_a_save_in_another_place_than_the_usual_does_not_end_an_item(job: Job) -> None:
    def killed() -> None:
        for item in track(range(6)):
            if item == 4:
                checkpoint.save("early")
                break
            checkpoint.save("at the end")

    loaded_from(killed, job)
    assert [4, 5] == list(track(range(6)))


def test_an_offset_of_the_codes_own_is_not_applied_twice(job: Job) -> None:
    loaded_from(lambda: in_loop(10, 3), job)
    items = list(range(10))
    assert [4, 5, 6, 7, 8, 9] == list(track(items[4:], total=len(items)))


def test_a_list_in_another_order_is_gone_through_from_its_beginning(job: Job) -> None:
    loaded_from(lambda: in_loop(4, 1), job)
    assert [3, 2, 0, 1] == list(track([3, 2, 0, 1]))
