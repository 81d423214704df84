"""The workflows of this code, and how their code is run: by workers and by replays alike."""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from mltemporal.workflows.inference import InferenceWorkflow
from mltemporal.workflows.monitoring import MonitoringWorkflow
from mltemporal.workflows.notifying import NotificationWorkflow
from mltemporal.workflows.preprocessing import PreprocessingWorkflow
from mltemporal.workflows.training import TrainingWorkflow

WORKFLOWS: tuple[type, ...] = (
    TrainingWorkflow,
    PreprocessingWorkflow,
    InferenceWorkflow,
    MonitoringWorkflow,
    NotificationWorkflow,
)


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandbox for workflow code.

    It uses only plain dataclasses of ours: nothing to load anew for each workflow.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules("mltemporal", "msgspec")
    )
