"""Replay of stored histories: what fits, what does not and why, what cannot be read."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter

from mltemporal.deployments import replaying
from mltemporal.deployments.replaying import Replayed, _readable, misfit, replay, replayer
from mltemporal.encryption.keyring import home_keyring
from mltemporal.encryption.plugin import plugin_with

STORED = Path(__file__).parents[2] / "histories" / "training-success-0.1.0.json"


def client(converter: DataConverter = DataConverter.default, plugins: tuple = ()) -> SimpleNamespace:
    """What a replay wants of a client."""
    return SimpleNamespace(
        namespace="default", data_converter=converter, config=lambda: {"plugins": list(plugins)}
    )


def history(text: str) -> WorkflowHistory:
    return WorkflowHistory.from_json("stored", text)


async def test_what_fits_has_no_reason() -> None:
    assert ("", "") == await misfit(replayer(client()), history(STORED.read_text()))


async def test_what_does_not_fit_is_named_with_its_event_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = STORED.read_text().replace("validate_dataset", "some_other_activity")
    event, reason = await misfit(replayer(client()), history(text))
    assert "5 ActivityTaskScheduled" == event
    assert "'some_other_activity' does not match activity type of activity command" in reason
    assert [] == caplog.records


async def test_a_workflow_that_this_code_does_not_have_does_not_fit() -> None:
    text = STORED.read_text().replace("TrainingWorkflow", "TuningWorkflow")
    _, reason = await misfit(replayer(client()), history(text))
    assert reason.startswith("Workflow class TuningWorkflow is not registered")


async def test_what_is_not_sealed_with_our_keys_does_not_fit_and_is_known_to_be_unreadable(
    tmp_path: Path,
) -> None:
    sealing = plugin_with(home_keyring(tmp_path / "keys.json"))
    keyed = client(sealing.data_converter, (sealing,))
    stored = history(STORED.read_text())
    assert ("", "") != await misfit(replayer(keyed), stored)
    assert not await _readable(keyed, stored)
    assert await _readable(client(), stored)


@pytest.mark.parametrize(
    ("open_", "readable", "reason", "expected"),
    [
        (True, True, "", False),
        (False, True, "odd", True),
        (True, False, "odd", True),
        (False, False, "odd", False),
    ],
)
def test_only_a_closed_history_that_cannot_be_read_says_nothing_of_the_code(
    open_: bool, readable: bool, reason: str, expected: bool
) -> None:
    found = Replayed(
        workflow_id="a",
        run_id="b",
        kind="TrainingWorkflow",
        open=open_,
        readable=readable,
        reason=reason,
        job_id=3,
    )
    assert expected == found.misfit
    assert repr(found).startswith("job 3 ")


async def test_a_replay_that_does_not_end_in_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stored() -> WorkflowHistory:
        return history(STORED.read_text())

    asked = client()
    asked.get_workflow_handle = lambda *_, **__: SimpleNamespace(fetch_history=stored)
    execution = SimpleNamespace(id="a", run_id="b", workflow_type="TrainingWorkflow", status=None)
    assert [True] == [found.ok and found.in_time async for found in replay(asked, [execution])]
    monkeypatch.setattr(replaying, "_WITHIN_S", 0.0)
    (found,) = [found async for found in replay(asked, [execution])]
    assert not found.in_time
    assert "the replay did not end within 0 s" == found.reason
