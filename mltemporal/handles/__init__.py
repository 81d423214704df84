"""Job handles: what the verbs return, and what shows them."""

from mltemporal.handles.job import Job
from mltemporal.handles.kinds import InferenceJob, PreprocessingJob, TrainingJob, find, handle_of
from mltemporal.handles.presenting import Presenter, present_launch, presenter, set_presenter
from mltemporal.handles.reading import LogText

__all__ = [
    "InferenceJob",
    "Job",
    "LogText",
    "PreprocessingJob",
    "Presenter",
    "TrainingJob",
    "find",
    "handle_of",
    "present_launch",
    "presenter",
    "set_presenter",
]
