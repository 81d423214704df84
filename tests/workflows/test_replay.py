"""Stored histories replay against today's workflow code: running jobs survive an upgrade.

``RECORD_HISTORIES=1 pytest tests/workflows`` stores those of this version that are missing.
"""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from mltemporal.workflows.inference import InferenceWorkflow
from mltemporal.workflows.monitoring import MonitoringWorkflow
from mltemporal.workflows.notifying import NotificationWorkflow
from mltemporal.workflows.preprocessing import PreprocessingWorkflow
from mltemporal.workflows.training import TrainingWorkflow

WORKFLOWS = [
    TrainingWorkflow,
    PreprocessingWorkflow,
    InferenceWorkflow,
    MonitoringWorkflow,
    NotificationWorkflow,
]
HISTORIES = sorted((Path(__file__).parent.parent / "histories").glob("*.json"))


def test_there_is_a_history_of_every_ending():
    endings = {path.stem.removeprefix("training-").rpartition("-")[0] for path in HISTORIES}
    assert endings >= {
        "inference-cancel",
        "inference-success",
        "preprocessing-failure",
        "preprocessing-success",
        "monitoring-problem",
        "monitoring-quiet",
        "notification-job",
        "notification-told",
        "cancel",
        "cancel-twice",
        "checkpoint-now",
        "continue-as-new",
        "continued",
        "disowned",
        "extend",
        "failure",
        "invalid",
        "pause",
        "retries-used-up",
        "retry",
        "rewind",
        "set",
        "shortened",
        "stop-early",
        "success",
        "timeout",
    }


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path):
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    await Replayer(workflows=WORKFLOWS).replay_workflow(history)


async def test_a_history_that_does_not_fit_the_code_is_noticed():
    """The check can fail: a history without its first activity does not replay."""
    path = next(path for path in HISTORIES if "success" in path.stem)
    text = path.read_text().replace("validate_dataset", "some_other_activity")
    with pytest.raises(Exception, match="[Nn]ondeterminism"):
        await Replayer(workflows=WORKFLOWS).replay_workflow(WorkflowHistory.from_json("x", text))
