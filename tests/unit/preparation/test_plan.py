from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler

from mltemporal import steps
from mltemporal.errors import CorruptObject
from mltemporal.preparation.checking import parse_steps
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.plan import Plan
from mltemporal.specs.data import Column
from mltemporal.storage.content import Storage

COLUMNS = [Column(name="a", type="int64"), Column(name="b", type="string")]
EVERY_STEP = [
    steps.drop_missing(),
    steps.cast({"a": "int32"}, errors="coerce"),
    steps.drop_duplicates("a"),
    steps.rename(b="c"),
    steps.derive(d="a + 1"),
    steps.filter("d > 1"),
    steps.select(["d", "c", "a"]),
    steps.drop("a"),
    steps.split(0.3, stratify="c"),
    steps.fill_missing({"d": 0.5, "c": "most_frequent"}),
    steps.encode("c", max_categories=3),
    steps.scale("d", "robust"),
]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


def planned(*more: Any, seed: int = 0) -> Plan:
    return parse_steps([*EVERY_STEP, *more], columns=COLUMNS, target=None, seed=seed)


def test_a_plan_comes_back_as_it_was_stored(storage: Storage) -> None:
    plan = planned(lambda frame: frame, MinMaxScaler())
    loaded = Plan.load(plan.store(storage), storage)
    assert plan == loaded
    assert plan.store(storage) == loaded.store(storage)


def test_the_fingerprint_tells_plans_apart(storage: Storage) -> None:
    def one(frame: pd.DataFrame) -> pd.DataFrame:
        return frame

    def other(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.head()

    prints = [planned(), planned(seed=1), planned(one), planned(other), planned(MinMaxScaler())]
    assert 5 == len({plan.fingerprint for plan in prints})
    assert planned(one).fingerprint == planned(one).fingerprint
    loaded = Plan.load(planned(one).store(storage), storage)
    assert planned(one).fingerprint == loaded.fingerprint


def test_what_is_no_plan_is_told(storage: Storage) -> None:
    with pytest.raises(CorruptObject, match="is no plan"):
        Plan.load(storage.put_bytes(b'{"steps": []}', format="json"), storage)
    with pytest.raises(CorruptObject, match="are no fitted steps"):
        Fitted.load(storage.put_bytes(b"[]", format="json"), storage)


def test_code_that_was_changed_in_storage_is_not_unpickled(storage: Storage) -> None:
    ref = planned(lambda frame: frame).store(storage)
    for path in Path(storage.url).rglob("objects/*/*"):
        if path.read_bytes()[:1] == b"\x80":
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptObject):
        Plan.load(ref, storage)
