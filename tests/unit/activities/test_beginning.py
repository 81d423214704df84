"""What a job that is started again is told: where it starts, and what was set stays or does not."""

from types import SimpleNamespace

import pytest

from mltemporal.database.jobs import Event
from mltemporal.specs.orders import ORDERS, Order, Orders
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.beginning import begin_anew, set_before

JOB = SimpleNamespace(key="training-000000000000")


@pytest.mark.parametrize(
    ("asked", "left"),
    [("retry", {"lr": "fast"}), ("rewind to step 4", {"lr": "fast"}), ("rewind to 'validated'", {})],
)
def test_values_that_were_set_stay_but_from_the_beginning(tmp_path, asked: str, left: dict[str, str]) -> None:
    storage = Storage(str(tmp_path))
    given = (Order(id="a", verb="set", attempt=1),)
    storage.put_note(JOB.key, ORDERS, Orders(params={"lr": "fast"}, given=given))
    events = [
        Event(time=1.0, kind="submitted"),
        Event(time=2.0, kind="command", attempt=1, message="set lr='fast'"),
        Event(time=3.0, kind="command", attempt=1, message=asked),
    ]
    for _ in range(2):
        begin_anew(storage, JOB, events)
        assert Orders(params=left) == storage.get_note(JOB.key, ORDERS, Orders)
    assert ("it begins with lr='fast', as set before" if left else "") == set_before(storage, JOB)
