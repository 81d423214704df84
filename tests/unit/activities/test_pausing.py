"""Whether a new attempt begins paused follows from what people asked for."""

import pytest

from mltemporal.database.jobs import Event
from mltemporal.workflows.activities.pausing import was_paused


@pytest.mark.parametrize(
    ("commands", "attempt", "paused"),
    [
        ([], 2, False),
        ([("pause", 1)], 2, True),
        ([("pause", 1)], 3, True),
        ([("pause", 2)], 2, False),  # the command itself suspends that one
        ([("pause", 1), ("resume", 1)], 2, False),
        ([("pause", 1), ("resume refused: it is waiting to try again", 1)], 2, True),
        ([("pause refused: it has no process", 1)], 2, False),
        ([("pause", 1), ("retry", 1)], 2, False),
        ([("pause", 1), ("rewind to 'validated'", 1)], 2, False),
        ([("pause", 1), ("resume", 1), ("pause", 1), ("set lr=1", 1)], 2, True),
    ],
)
def test_a_pause_holds_until_somebody_ends_it(
    commands: list[tuple[str, int]], attempt: int, paused: bool
) -> None:
    events = [Event(time=0.0, kind="command", attempt=number, message=what) for what, number in commands]
    noise = [Event(time=0.0, kind="note", attempt=1, message="pause")]
    assert paused is was_paused([*noise, *events, *noise], attempt)
