"""Every error that mltemporal raises on purpose.

MLTemporalError
├── InvalidRequest            what was asked for is wrong; nothing was started      never retried
│   ├── InvalidDataset        the table cannot be read, or cannot be trained on
│   ├── InvalidTrainer        the trainer, its parameters or its code cannot be used
│   ├── VersionMismatch       kernel, worker or job run different versions
│   └── Disowned              a workflow asked for work on a job that is not, or no longer, its own
├── NotFound                  no job, dataset, object or model has that name         never retried
├── CorruptObject             stored bytes do not match the hash recorded for them   never retried
├── JobFailed                 the job ran and failed
├── JobCancelled              the job was cancelled
└── ServiceUnavailable        Temporal, the database or storage does not answer      retried
    ├── StackError            the embedded services cannot start or are not running
    └── TrainingInterrupted   the job's process ended through no fault of its code
"""

from __future__ import annotations

from typing import ClassVar

from mltemporal.words import clean


class MLTemporalError(Exception):
    """What happened, in one sentence, and what to do next, in another.

    Temporal carries an error as its class name and ``str(error)``; attributes stay behind.
    So the next step is part of the text, and both parts are in ``args`` and survive pickling.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what, next_step)

    @property
    def what(self) -> str:
        """What happened."""
        return str(self.args[0])

    @property
    def next_step(self) -> str:
        """What to do about it; may be empty."""
        return str(self.args[1])

    def __str__(self) -> str:
        """Return the text for a person; names and words of others in it do nothing to a terminal."""
        return clean(f"{self.what}\nNext step: {self.next_step}" if self.next_step else self.what)


class _ShownBare:
    """For errors whose text says it all: in a notebook, our own frames would only bury it."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return f"{type(self).__name__}: {self}".splitlines()


class InvalidRequest(_ShownBare, MLTemporalError, ValueError):
    """What was asked for is wrong; nothing was started."""


class InvalidDataset(InvalidRequest):
    """The table cannot be read, or cannot be trained on."""


class InvalidTrainer(InvalidRequest):
    """The trainer, its parameters or its code cannot be used."""


class VersionMismatch(InvalidRequest):
    """Kernel, worker or job run different versions of something that must agree."""


class Disowned(InvalidRequest):
    """A workflow asked for work on a job that is not its own, or that has ended: nothing was done."""


class NotFound(_ShownBare, MLTemporalError, LookupError):
    """No job, dataset, object or model has that name."""


class CorruptObject(MLTemporalError):
    """Stored bytes do not match the hash recorded for them, so they were not used."""


class JobFailed(_ShownBare, MLTemporalError):
    """The job ran and failed; the text opens with the user's own traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()  # the user's traceback comes first, not our class's name


class JobCancelled(_ShownBare, MLTemporalError):
    """The job was cancelled."""


class ServiceUnavailable(MLTemporalError):
    """Temporal, the database or storage does not answer; trying again helps."""

    retryable = True


class StackError(ServiceUnavailable):
    """The embedded services cannot start, or are not running."""


class TrainingInterrupted(ServiceUnavailable):
    """The job's process ended through no fault of its code (killed, evicted, node lost)."""


def _tree(root: type[MLTemporalError]) -> list[type[MLTemporalError]]:
    return [root, *(child for direct in root.__subclasses__() for child in _tree(direct))]


NON_RETRYABLE: tuple[str, ...] = tuple(
    error.__name__ for error in _tree(MLTemporalError) if not error.retryable
)
"""Class names for ``RetryPolicy.non_retryable_error_types``."""
