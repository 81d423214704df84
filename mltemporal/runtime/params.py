"""``mltemporal.params``: the parameters of this job, and what was set while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mltemporal.errors import InvalidRequest


class Params(Mapping[str, Any]):
    """The function's parameters by name: its defaults, what it was launched with, what `job.set` gave.

    Within a job they are read-only, and change only when the code reports, or between two items of `track`.
    Outside a job there are none, and ``params["lr"] = 0.1`` or ``params.update(lr=0.1)`` puts some there
    to try the code out with.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._of_a_job = False

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"params({self._values!r})"

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *others: Mapping[str, Any], **values: Any) -> None:
        """Put values there, outside a job.

        Raises:
            InvalidRequest: within a job, whose parameters are set from outside.
        """
        if self._of_a_job:
            raise InvalidRequest("the parameters of a job are read-only in it", "job.set(…) sets them")
        for other in (*others, values):
            self._values = {**self._values, **other}

    def clear(self) -> None:
        """Remove all, outside a job."""
        self.update()
        self._values = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_params, ()  # code that travels finds those of the process where it runs

    def begin(self, values: Mapping[str, Any]) -> None:
        """Become those of a job."""
        self._values, self._of_a_job = dict(values), True

    def take(self, values: Mapping[str, Any]) -> None:
        """Take what was set; readers see all of it or nothing."""
        self._values = {**self._values, **values}


params = Params()


def _the_params() -> Params:
    return params
