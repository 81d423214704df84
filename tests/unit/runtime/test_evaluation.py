import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from mltemporal.runtime import reporting
from mltemporal.runtime.evaluation import evaluate, labels


def frame_of(target: object) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(len(target)), "y": target})  # type: ignore[arg-type]


def fitted(model: object, frame: pd.DataFrame) -> object:
    return model.fit(frame[["x"]], labels(frame["y"]))  # type: ignore[attr-defined]


def test_figures_are_scikit_learns() -> None:
    frame = frame_of(np.arange(10.0) * 2)

    metrics = evaluate(fitted(LinearRegression(), frame), frame, "y", "regression")

    assert ["r2", "mean_absolute_error", "root_mean_squared_error"] == list(metrics)
    assert 1.0 == metrics["r2"]


def test_classes_of_any_type_are_evaluated() -> None:
    for low, high in ((False, True), (0, 1), ("no", "yes"), (0.0, 1.0)):
        frame = frame_of(pd.Series([low] * 10 + [high] * 10, dtype=object if low == "no" else None))
        metrics = evaluate(fitted(LogisticRegression(), frame), frame, "y", "classification")
        assert (1.0, 1.0) == (metrics["accuracy"], metrics["roc_auc"])


def test_several_classes_have_an_area_too_when_all_are_held_out() -> None:
    frame = frame_of(["a"] * 10 + ["b"] * 10 + ["c"] * 10)
    model = fitted(LogisticRegression(), frame)

    assert "roc_auc" in evaluate(model, frame, "y", "classification")
    some = evaluate(model, frame[:20], "y", "classification")
    assert "roc_auc" not in some
    assert "log_loss" in some


def test_a_class_that_training_never_saw_leaves_no_probabilities() -> None:
    model = fitted(DummyClassifier(), frame_of(["a"] * 5 + ["b"] * 5))

    metrics = evaluate(model, frame_of(["a", "c"]), "y", "classification")

    assert {"accuracy", "balanced_accuracy", "f1_macro"} == set(metrics)


def test_a_model_that_cannot_predict_keeps_its_training() -> None:
    class Broken:
        def predict(self, features: object) -> None:
            raise RuntimeError("no such column")

    assert {} == evaluate(Broken(), frame_of([1.0, 2.0]), "y", "regression")
    assert ("the model was trained and not evaluated: RuntimeError: no such column",) == reporting.notes()


def test_nothing_held_out_means_no_figures() -> None:
    assert {} == evaluate(None, frame_of([]), "y", "regression")
