"""The frozen dataclasses that cross a process border.

Workers, notebooks and jobs of different ages meet, so a new field needs a default, and a
reader ignores the fields that it does not know. `encode` and `decode` are the one JSON form.
"""

from mltemporal.specs.data import (
    Artifact,
    Column,
    DatasetFacts,
    DatasetRef,
    Expectation,
    ModelRef,
    ObjectRef,
    Shard,
)
from mltemporal.specs.encoding import converted, decode, encode
from mltemporal.specs.health import HealthCheck, HealthState, Mended, Notice, Round
from mltemporal.specs.orders import Answer, Hears, Order, Orders, Rewind
from mltemporal.specs.request import (
    InferenceSpec,
    JobSpec,
    PodOptions,
    PreparationSpec,
    Resources,
    SecretRef,
    TrainerRef,
)
from mltemporal.specs.results import (
    RESULTS,
    InferenceResult,
    JobResult,
    MadeDataset,
    Outcome,
    Prepared,
    PreprocessingResult,
    RunFailure,
    RunOutput,
    Scored,
    TrainingResult,
)
from mltemporal.specs.running import (
    COMMANDS,
    Attempt,
    Carried,
    Command,
    JobPlan,
    JobStatus,
    Progress,
    WorkflowState,
)

__all__ = [
    "COMMANDS",
    "RESULTS",
    "Answer",
    "Artifact",
    "Attempt",
    "Carried",
    "Column",
    "Command",
    "DatasetFacts",
    "DatasetRef",
    "Expectation",
    "HealthCheck",
    "HealthState",
    "Hears",
    "InferenceResult",
    "InferenceSpec",
    "JobPlan",
    "JobResult",
    "JobSpec",
    "JobStatus",
    "MadeDataset",
    "Mended",
    "ModelRef",
    "Notice",
    "ObjectRef",
    "Order",
    "Orders",
    "Outcome",
    "PodOptions",
    "PreparationSpec",
    "Prepared",
    "PreprocessingResult",
    "Progress",
    "Resources",
    "Rewind",
    "Round",
    "RunFailure",
    "RunOutput",
    "Scored",
    "SecretRef",
    "Shard",
    "TrainerRef",
    "TrainingResult",
    "WorkflowState",
    "converted",
    "decode",
    "encode",
]
