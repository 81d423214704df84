"""Attempts at jobs as real processes, for each kind of trainer."""

import os
import pickle
import signal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mltemporal.model_files import load_model
from mltemporal.specs.orders import NEWEST
from mltemporal.specs.request import TrainerRef


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """A mixed table of 600 rows whose column ``bought`` follows from the others."""
    random = np.random.default_rng(0)
    n = 600
    age = random.integers(18, 80, n).astype(float)
    city = random.choice(["Oslo", "Rome", "Lima"], n)
    bought = np.where((age > 45) ^ (city == "Lima"), "yes", "no").astype(object)
    frame = pd.DataFrame(
        {"age": age, "city": city, "spent": age * 2 + random.normal(size=n), "bought": bought}
    )
    frame.loc[::20, "age"] = np.nan
    return frame


def numbers(rows: int = 200) -> pd.DataFrame:
    x = np.linspace(0, 1, rows)
    return pd.DataFrame({"x": x, "z": x**2, "y": 3 * x})


def test_the_baseline_trains_on_a_mixed_table(runner: Any, people: pd.DataFrame) -> None:
    run = runner.run(people, runner.code("baseline", {"max_iter": 40}), target="bought")

    assert 0 == run.exit_code
    assert [
        "starting",
        "loading the code",
        "loading the dataset",
        "preparing the table",
        "training",
        "evaluating",
        "saving the model",
    ] == run.stages
    assert set(run.lines[-4].metrics) == {"train_loss", "validation_loss"}
    assert run.steps == list(range(len(run.steps)))
    assert {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"} == set(run.output.metrics)
    assert run.output.metrics["accuracy"] > 0.85
    assert ("skops", "classification", "bought") == (
        run.output.model.object.format,
        run.output.model.task,
        run.output.model.target,
    )
    model = load_model(run.output.model, runner.storage)
    assert {"yes", "no"} == set(model.predict(people.drop(columns=["bought"])))


def test_the_baseline_regresses_and_says_which_rows_it_leaves_out(runner: Any, people: pd.DataFrame) -> None:
    frame = people.assign(spent=people["spent"].where(people.index % 10 > 0))

    run = runner.run(frame, runner.code("baseline", {"max_iter": 30}), target="spent")

    assert {"r2", "mean_absolute_error", "root_mean_squared_error"} == set(run.output.metrics)
    assert "60 of 600 rows have no 'spent' and are left out" == run.output.notes[0]


def test_an_attempt_whose_place_another_has_taken_leaves_no_result(runner: Any, people: pd.DataFrame) -> None:
    """As one on a node that was taken for lost, and lives on."""
    runner.storage.put_note("job-1", NEWEST, 2)
    run = runner.run(people, runner.code("baseline", {"max_iter": 5}), target="bought")
    assert (143, None) == (run.exit_code, run.output)
    assert "attempt 2 has taken the place of this one, whose result is not kept" in [
        line.text for line in run.lines if line.event == "note"
    ]


def test_a_killed_baseline_goes_on_where_it_was_and_gives_the_same_model(runner: Any) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(30_000, 20)), columns=[f"x{i}" for i in range(20)])
    frame["y"] = frame["x0"] * 2 + np.sin(frame["x1"] * 3) + random.normal(size=len(frame))

    def ask(iterations: int) -> None:
        params = {"max_iter": iterations, "learning_rate": 0.001, "max_leaf_nodes": 63}
        runner.ask(frame, runner.code("baseline", params), target="y")

    ask(100_000)
    process = runner.start(1)
    runner.wait_for(lambda run: runner.storage.get_note("job-1", "checkpoints", list))
    process.kill()
    first = runner.finish()
    assert -signal.SIGKILL == first.exit_code
    reached = runner.storage.get_note("job-1", "checkpoints", list)[-1]["step"]
    assert 0 < reached <= first.steps[-1]

    ask(reached + 20)
    runner.start(2)
    second = runner.finish()
    assert 0 == second.exit_code
    assert list(range(reached + 1, reached + 21)) == second.steps
    assert f"resumed after iteration {reached:,} from a checkpoint" in second.output.notes

    runner.storage.put_note("job-1", "checkpoints", [])
    runner.start(3)
    undisturbed = runner.finish()
    assert 0 == undisturbed.steps[0]
    assert undisturbed.output.metrics == second.output.metrics
    features = frame.drop(columns=["y"])
    again, once = (load_model(run.output.model, runner.storage) for run in (second, undisturbed))
    assert again.predict(features).tolist() == once.predict(features).tolist()


def test_an_asked_baseline_stops_with_a_last_checkpoint(runner: Any) -> None:
    frame = numbers(20_000)
    runner.ask(frame, runner.code("baseline", {"max_iter": 100_000, "early_stopping": False}), target="y")
    process = runner.start()
    runner.wait_for(lambda run: len(run.steps) > 5)

    process.terminate()
    run = runner.finish()

    assert 143 == run.exit_code
    assert "stopped" == run.stages[-1]
    assert run.output is None
    assert run.failure is None
    [*_, last] = runner.storage.get_note("job-1", "checkpoints", list)
    assert last["step"] == run.steps[-1]


def test_an_estimator_is_fitted_and_evaluated(runner: Any) -> None:
    from sklearn.linear_model import LinearRegression

    estimator = LinearRegression()
    run = runner.run(numbers(), runner.code("estimator", estimator), target="y")

    assert 0 == run.exit_code, run.log
    assert 1.0 == pytest.approx(run.output.metrics["r2"])
    assert ("x", "z") == run.output.model.features
    assert "skops" == run.output.model.object.format


def test_an_estimator_that_needs_numbers_says_which_columns_have_none(
    runner: Any, people: pd.DataFrame
) -> None:
    from sklearn.linear_model import LogisticRegression

    run = runner.run(people.dropna(), runner.code("estimator", LogisticRegression()), target="bought")

    assert 1 == run.exit_code
    assert "ValueError" == run.failure.type
    assert "could not convert string to float" in run.failure.message
    assert "Columns that hold no numbers: 'city'." in run.failure.traceback


def test_an_estimator_without_a_target_is_scored_where_it_can(runner: Any) -> None:
    from sklearn.cluster import DBSCAN, KMeans

    run = runner.run(numbers(), runner.code("estimator", KMeans(n_clusters=2)))
    assert ["score"] == list(run.output.metrics)

    run = runner.run(numbers(), runner.code("estimator", DBSCAN()))
    assert {} == run.output.metrics
    assert run.output.model is not None


def test_a_function_gets_the_training_part_and_its_model_is_evaluated(runner: Any) -> None:
    def fit(data, depth):  # type: ignore[no-untyped-def]
        import mltemporal

        mltemporal.report(step=1, rows=len(data))
        from sklearn.tree import DecisionTreeRegressor

        model = DecisionTreeRegressor(max_depth=depth).fit(data[["x"]], data["y"])
        return model, {"leaves": model.get_n_leaves()}

    run = runner.run(numbers(), runner.code("function", (fit, {"depth": 3})), target="y")

    assert 0 == run.exit_code, run.log
    assert [160.0] == [line.metrics["rows"] for line in run.lines if line.event == "report"]
    assert {"leaves", "r2", "mean_absolute_error", "root_mean_squared_error"} == set(run.output.metrics)
    assert 8.0 == run.output.metrics["leaves"]
    assert ("x",) == run.output.model.features
    assert "DecisionTreeRegressor" == run.output.model.label


def test_a_function_loads_no_scikit_learn_before_it_runs(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import sys

        return [name for name in ("sklearn", "matplotlib", "skops", "scipy") if name in sys.modules]

    run = runner.run(numbers(), runner.code("function", (fit, {})), target="y")

    assert [] == pickle.loads(runner.storage.get_bytes(run.output.value))


def test_an_async_function_is_awaited_and_its_numbers_are_metrics_and_value(runner: Any) -> None:
    async def fit(data):  # type: ignore[no-untyped-def]
        import asyncio

        await asyncio.sleep(0)
        return {"rows": len(data), "mean": float("nan")}

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert {"rows": 200.0} == run.output.metrics
    assert 200 == pickle.loads(runner.storage.get_bytes(run.output.value))["rows"]


def test_of_a_million_metrics_some_are_kept_and_the_value_holds_all(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        return {"x" * 1_000_000: 1.0, **{f"m{i}": float(i) for i in range(1_000_000)}}

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert 0 == run.exit_code, run.log
    assert 499 == len(run.output.metrics)
    assert "of 1,000,001 metrics of the result 499 are kept" in " ".join(run.output.notes)
    assert 1_000_001 == len(pickle.loads(runner.storage.get_bytes(run.output.value)))


def test_a_model_of_very_many_columns_is_kept_without_their_names(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        from sklearn.dummy import DummyRegressor

        return DummyRegressor().fit(data.drop(columns="y"), data["y"])

    wide = pd.DataFrame({**{f"{'c' * 150} {i}": [1.0, 2.0] * 5 for i in range(1_000)}, "y": range(10)})
    run = runner.run(wide, runner.code("function", (fit, {})), target="y")

    assert 0 == run.exit_code, run.log
    assert () == run.output.model.features
    assert "the names of 1,000 columns are too many to be kept with the model" in " ".join(run.output.notes)


def test_a_failing_function_shows_the_users_own_traceback(runner: Any) -> None:
    def helper(data):  # type: ignore[no-untyped-def]
        raise KeyError("no such thing")

    def fit(data):  # type: ignore[no-untyped-def]
        try:
            helper(data)
        except KeyError as error:
            raise RuntimeError("training went wrong") from error

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert 1 == run.exit_code
    assert ("RuntimeError", "training went wrong", False) == (
        run.failure.type,
        run.failure.message,
        run.failure.retryable,
    )
    assert run.failure.traceback in run.log
    assert "in helper" in run.failure.traceback
    assert "in fit" in run.failure.traceback
    assert "/mltemporal/" not in run.failure.traceback


def test_a_killed_function_resumes_from_its_checkpoint(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import time

        import mltemporal

        start = mltemporal.checkpoint.load() or 0
        for step in range(start, 6):
            mltemporal.report(step=step)
            mltemporal.checkpoint.save(step + 1, step=step)
            if start == 0 and step == 3:
                time.sleep(600)
        return f"started at {start}"

    runner.ask(numbers(), runner.code("function", (fit, {})))
    process = runner.start(1)
    runner.wait_for(
        lambda run: len(runner.storage.get_note("job-1", "checkpoints", list) or []) == 3 and 3 in run.steps
    )
    runner.wait_for(lambda run: runner.storage.get_note("job-1", "checkpoints", list)[-1]["step"] == 3)
    process.kill()
    assert [0, 1, 2, 3] == runner.finish().steps

    runner.start(2)
    run = runner.finish()

    assert [4, 5] == run.steps
    assert "started at 4" == pickle.loads(runner.storage.get_bytes(run.output.value))


def test_an_asked_function_can_finish_what_it_must(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import time

        import mltemporal

        mltemporal.report(step=1)
        try:
            while True:
                try:
                    time.sleep(600)
                except Exception:
                    print("swallowed")
        finally:
            mltemporal.checkpoint.save("saved at the end")
            print("finished cleanly")

    runner.ask(numbers(), runner.code("function", (fit, {})))
    process = runner.start()
    runner.wait_for(lambda run: run.steps == [1])

    process.terminate()
    run = runner.finish()

    assert 143 == run.exit_code
    assert "finished cleanly" in run.log
    assert "swallowed" not in run.log
    assert "Traceback" not in run.log
    assert 1 == len(runner.storage.get_note("job-1", "checkpoints", list))


def test_what_fails_after_the_stop_was_asked_for_is_no_failure(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import time

        import mltemporal

        mltemporal.report(step=1)
        try:
            time.sleep(600)
        except BaseException as error:
            raise ValueError("a library makes its own of it") from error

    runner.ask(numbers(), runner.code("function", (fit, {})))
    process = runner.start()
    runner.wait_for(lambda run: run.steps == [1])

    process.terminate()
    run = runner.finish()

    assert (143, None) == (run.exit_code, run.failure)
    assert "a library makes its own of it" in run.log


def test_a_function_that_ends_itself_succeeds_with_0_and_fails_with_another(runner: Any) -> None:
    def leave(data, code):  # type: ignore[no-untyped-def]
        import sys

        sys.exit(code)

    run = runner.run(numbers(), runner.code("function", (leave, {"code": 0})))
    assert (0, None) == (run.exit_code, run.output.value)

    runner.ask(numbers(), runner.code("function", (leave, {"code": 3})))
    runner.start(2)
    run = runner.finish()
    assert (1, "SystemExit", "3") == (run.exit_code, run.failure.type, run.failure.message)


def test_a_value_that_cannot_be_stored_fails_by_name(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import threading

        return threading.Lock()

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert "InvalidTrainer" == run.failure.type
    assert run.failure.message.startswith("what the training returned (a lock) cannot be stored")


SCRIPT = """
import dataclasses, json, os, pickle, sys
import pandas as pd

@dataclasses.dataclass
class Point:
    x: int

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
    table = pd.read_parquet(os.environ["MLTEMPORAL_DATASET"])
    with open(os.path.join(os.environ["MLTEMPORAL_OUTPUT_DIR"], "facts.json"), "w") as file:
        json.dump({"argv": sys.argv[1:], "file": os.path.basename(__file__), "rows": len(table),
                   "folder": sys.path[0] == os.path.dirname(__file__),
                   "params": json.loads(os.environ["MLTEMPORAL_PARAMS"])}, file)
    print("loss=0.5")
    sys.exit(%s)
"""


def script_of(runner: Any, text: str) -> TrainerRef:
    code = runner.code("script", text)
    return TrainerRef(
        kind="script",
        label="script.py",
        code=code.code,
        path=code.path,
        args=("--fast", "1"),
        params={"lr": "0.1"},
    )


def test_a_script_runs_as_the_main_program_and_its_files_are_kept(runner: Any) -> None:
    run = runner.run(numbers(), script_of(runner, SCRIPT % 0))

    assert 0 == run.exit_code, run.log
    assert "loss=0.5" in run.log.splitlines()
    import json

    facts = json.loads(runner.storage.get_bytes(run.artifacts()["facts.json"]))
    assert {
        "argv": ["--fast", "1"],
        "file": "script.py",
        "rows": 200,
        "folder": True,
        "params": {"lr": "0.1"},
    } == facts


def test_a_failing_script_shows_its_own_lines(runner: Any) -> None:
    run = runner.run(
        numbers(), script_of(runner, "def main():\n    raise ValueError('from the script')\n\nmain()\n")
    )

    assert ("ValueError", "from the script") == (run.failure.type, run.failure.message)
    assert "    raise ValueError('from the script')\n" in run.failure.traceback
    assert "/mltemporal/" not in run.failure.traceback


def test_a_job_that_storage_does_not_know_fails_in_words(runner: Any) -> None:
    runner.start()
    run = runner.finish()

    assert (1, "NotFound", False) == (run.exit_code, run.failure.type, run.failure.retryable)
    assert "holds no job 'job-1'" in run.failure.message


def test_storage_that_is_away_is_a_failure_that_trying_again_helps(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        from mltemporal.errors import ServiceUnavailable

        raise ServiceUnavailable("the store is away", "wait")

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert (True, "the store is away", "wait") == (
        run.failure.retryable,
        run.failure.message,
        run.failure.next_step,
    )


def test_a_reason_that_storage_cannot_take_either_is_said_by_the_exit_code(capsys: Any) -> None:
    from mltemporal.errors import ServiceUnavailable
    from mltemporal.runtime import main

    class Away:
        def get_note(self, *_: object) -> None:
            raise ServiceUnavailable("the store is away", "wait")

    job: Any = SimpleNamespace(storage=Away(), key="job-1", attempt=1)
    assert os.EX_TEMPFAIL == main._fail(job, ServiceUnavailable("the store is away", "wait"))
    assert 1 == main._fail(job, ValueError("wrong"))
    assert "ValueError: wrong" in capsys.readouterr().err


def test_a_progress_line_is_found_behind_another_librarys_unfinished_line(runner: Any) -> None:
    def fit(data):  # type: ignore[no-untyped-def]
        import sys

        import mltemporal

        sys.stderr.write("\r 10%|#         |")
        sys.stderr.flush()
        mltemporal.report(step=1)

    run = runner.run(numbers(), runner.code("function", (fit, {})))

    assert [1] == run.steps
