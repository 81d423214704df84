import pickle
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mltemporal.encoder import TableEncoder
from mltemporal.errors import CorruptObject, InvalidRequest, InvalidTrainer
from mltemporal.model_files import load_model, load_object, save_model
from mltemporal.specs.data import ModelRef
from mltemporal.storage.content import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def saved(model: object, storage: Storage) -> ModelRef:
    return save_model(model, storage, label="model", task=None, target="y", features=("x",))


class Doubling:
    """A model that only this module knows."""

    def predict(self, x: float) -> float:
        return 2 * x


def test_a_scikit_learn_model_comes_back_without_running_its_makers_code(storage: Storage) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])

    ref = saved(model, storage)

    assert ("skops", "model", "y", ("x",)) == (ref.object.format, ref.label, ref.target, ref.features)
    assert model.predict([[3.0]]).tolist() == load_model(ref, storage).predict([[3.0]]).tolist()


def test_the_baselines_model_comes_back_the_same_and_loads_safely(storage: Storage) -> None:
    frame = pd.DataFrame(
        {"a": np.arange(60.0), "b": ["x", "y", None] * 20, "t": pd.date_range("2024", periods=60)}
    )
    encoder = TableEncoder().fit(frame)
    target = np.array(["no", "yes"], dtype=object)[(np.arange(60) > 30).astype(int)]
    booster = HistGradientBoostingClassifier(max_iter=5, categorical_features=encoder.categorical_mask())
    model = make_pipeline(encoder, booster).fit(frame, target)

    ref = saved(model, storage)

    assert "skops" == ref.object.format
    loaded = load_model(ref, storage)
    assert model.predict_proba(frame).tolist() == loaded.predict_proba(frame).tolist()
    assert ["a", "b", "t"] == list(loaded.feature_names_in_)


def test_a_model_of_other_types_is_pickled_by_value(storage: Storage) -> None:
    by_function = make_pipeline(
        FunctionTransformer(lambda x: [[row[0] + 1] for row in x]), LinearRegression()
    ).fit([[0.0], [1.0]], [0.0, 2.0])

    for model, value in ((Doubling(), 3.0), (by_function, [[3.0]])):
        ref = saved(model, storage)
        assert "cloudpickle" == ref.object.format
        assert model.predict(value) == load_model(ref, storage).predict(value)


def test_a_model_that_cannot_be_stored_is_named(storage: Storage) -> None:
    model = Doubling()
    model.lock = threading.Lock()  # type: ignore[attr-defined]

    with pytest.raises(InvalidTrainer, match="the fitted Doubling cannot be stored"):
        saved(model, storage)


def test_a_model_whose_bytes_have_changed_is_not_loaded(storage: Storage, tmp_path: Path) -> None:
    ref = saved(Doubling(), storage)
    [path] = (path for path in (tmp_path / "objects").rglob("*") if path.is_file())
    path.write_bytes(pickle.dumps("something else"))

    with pytest.raises(CorruptObject):
        load_model(ref, storage)


def test_a_skops_file_of_other_types_needs_trust(storage: Storage) -> None:
    import skops.io

    data = skops.io.dumps(make_pipeline(FunctionTransformer(np.save)))
    ref = ModelRef(object=storage.put_bytes(data, format="skops"), label="foreign")

    with pytest.raises(InvalidRequest, match=r"holds types that are not known to be safe: numpy\.save"):
        load_model(ref, storage)
    assert load_model(ref, storage, trust=True)[0].func is np.save


def test_what_a_job_stored_comes_back_by_its_format(storage: Storage) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    with storage.writing(format="parquet") as table:
        frame.to_parquet(table.path)

    pd.testing.assert_frame_equal(frame, load_object(table.ref, storage))
    assert "text" == load_object(storage.put_bytes(b"text", format="text"), storage)
    assert [1] == load_object(storage.put_bytes(b"[1]", format="json"), storage)
    assert b"\x00" == load_object(storage.put_bytes(b"\x00"), storage)
    assert {1} == load_object(storage.put_bytes(pickle.dumps({1}), format="cloudpickle"), storage)
