"""Whether what is scored is still like what was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mltemporal.profiling.drift import Drift
from mltemporal.specs.data import ModelRef
from mltemporal.specs.encoding import decode


@pytest.fixture
def many(frame: pd.DataFrame) -> pd.DataFrame:
    """Enough rows for a statistic to say something."""
    random = np.random.default_rng(0)
    return frame.sample(600, replace=True, random_state=0, ignore_index=True).assign(
        a=random.normal(size=600)
    )


def test_columns_that_moved_away_from_the_training_data_are_named(
    scorer: Any, many: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    many.assign(a=many["a"] + 3).to_parquet(tmp_path / "in.parquet", row_group_size=100)
    scorer.score(fitted, str(tmp_path / "in.parquet"), reference=scorer.dataset(many), shards=6)
    scored = scorer.result.scored
    assert {"a", "prediction"} == set(scored.drifted)
    drift = decode(scorer.storage.get_bytes(scored.drift), Drift)
    assert (600, 600, {"a", "b", "prediction"}) == (
        drift.rows_before,
        drift.rows_after,
        {column.name for column in drift.columns},
    )
    assert "moved away from the training data: 'a', 'prediction'" in scorer.result.notes


def test_rows_like_the_training_data_have_not_moved(
    scorer: Any, many: pd.DataFrame, fitted: ModelRef
) -> None:
    scorer.score(fitted, many[::2], reference=scorer.dataset(many[1::2]))
    assert () == scorer.result.scored.drifted
    assert scorer.result.scored.drift is not None


def test_a_comparison_that_fails_is_a_note_and_no_failure(
    scorer: Any, frame: pd.DataFrame, fitted: ModelRef, tmp_path: Path
) -> None:
    frame.to_parquet(tmp_path / "trained.parquet")
    reference = scorer.dataset(str(tmp_path / "trained.parquet"))
    (tmp_path / "trained.parquet").unlink()
    assert 60 == len(scorer.score(fitted, frame, keep=("id",), reference=reference))
    assert scorer.result.scored.drift is None
    assert "drift was not looked at: InvalidDataset" in scorer.result.notes[-1]
