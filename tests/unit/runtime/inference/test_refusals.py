"""What a batch inference refuses, naming what is wrong."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from mltemporal.errors import InvalidDataset, InvalidRequest, InvalidTrainer
from mltemporal.specs.data import ModelRef


def refusal(call: Callable[[], object], kind: type[Exception] = InvalidDataset) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_a_dataset_that_does_not_fit_the_model_is_refused_before_anything_is_written(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    reference = scorer.dataset(frame)
    other = frame.rename(columns={"a": "A"}).assign(b="x")
    said = refusal(lambda: scorer.score(fitted, other, reference=reference))
    assert "it lacks 'a'; 'b' is text" in said
    assert "rename 'A' to 'a'" in said
    assert not scorer.output.exists()


def test_a_column_to_keep_must_exist_and_must_not_hide_a_prediction(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    assert "no column of the dataset: 'name'" in refusal(lambda: scorer.score(fitted, frame, keep=("name",)))
    named = frame.rename(columns={"id": "prediction"})
    said = refusal(lambda: scorer.score(fitted, named, keep=("prediction",)), InvalidRequest)
    assert "'prediction', which predictions are written to" in said


def test_an_output_that_exists_is_refused_and_overwritten_where_that_is_asked(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.output.mkdir()
    (scorer.output / "_job.json").write_text('{"job": "another"}')
    (scorer.output / "part-00007.parquet").write_bytes(b"old")
    assert "exists already" in refusal(lambda: scorer.score(fitted, frame), InvalidRequest)
    assert 60 == len(scorer.score(fitted, frame, overwrite=True))


def test_probabilities_of_a_model_without_them_are_refused(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef
) -> None:
    said = refusal(lambda: scorer.score(fitted, frame, probabilities=True), InvalidRequest)
    assert "a LinearRegression gives no probabilities" in said


def test_an_answer_of_another_length_is_refused(scorer: Any, frame: pd.DataFrame, by_hand: ModelRef) -> None:
    said = refusal(lambda: scorer.score(by_hand, frame.assign(short=1)), InvalidTrainer)
    assert "answer to 60 rows has the shape (1,)" in said
