"""What the workflow of a job says to commands before it carries them out; pure, so that it replays."""

from __future__ import annotations

from dataclasses import dataclass, field

from mltemporal.specs.running import COMMANDS, Carried, Command
from mltemporal.words import duration

CLEAN_UP_S = 8 * 86_400.0
"""Room for the clean-up after the job's own time: the workflow's limit must never cut it short."""
LONGEST_S = 365 * 86_400.0
"""The longest that a job may take."""

_REMEMBERED = 200
_MOST_EVENTS = 45_000
"""Of the 51,200 that a run's history may have: the rest is for the job's end."""
_OWN_TIME = ("starting", "running", "waiting to try again")
"""The stages in which the job's time runs."""


@dataclass
class Ledger:
    """The commands that one run of a workflow was given."""

    most: int
    known: dict[str, None] = field(default_factory=dict)
    """Ids, oldest first."""
    taken: int = 0

    @classmethod
    def of(cls, carried: Carried) -> Ledger:
        """Return the ledger of a new run, which knows what was given to the one before."""
        return cls(most=carried.most_commands, known=dict.fromkeys(carried.commands))

    def take(self, command: Command) -> None:
        """Note that the command is carried out now."""
        self.taken += 1
        if command.id:
            self.known[command.id] = None

    def remembered(self) -> tuple[str, ...]:
        """Return the newest ids, for the next run."""
        return tuple(self.known)[-_REMEMBERED:]

    def refusal(self, command: Command, job_id: int, stage: str, events: int) -> str:
        """Return why the command is not carried out; empty where it is.

        Args:
            command: what is asked.
            job_id: whose workflow this is.
            stage: where the workflow stands.
            events: how many its history has.
        """
        if command.verb not in COMMANDS:
            return f"there is no command {command.verb!r}: use one of {', '.join(COMMANDS)}"
        if command.job_id != job_id:
            return f"the command is for job {command.job_id}, and this is job {job_id}"
        if command.id in self.known:
            return "this command was given before, and is carried out once"
        if stage != "running" and (command.verb != "extend" or stage not in _OWN_TIME):
            return f"cannot {command.verb} a job that is {stage}"
        if self.taken >= self.most or events >= _MOST_EVENTS:
            return (
                f"it was given {self.taken:,} commands and its history has {events:,} events, which is as "
                "much as this attempt can take; cancel still works, and another attempt takes commands again"
            )
        return ""


def refused_time(whole_s: float | None, used_s: float, limit_s: float | None) -> str:
    """Return why the job's whole time cannot be that long; empty where it can.

    Args:
        whole_s: what is asked for.
        used_s: how much of it has passed.
        limit_s: the time that Temporal leaves this workflow, clean-up included; None: no limit.
    """
    longest_s = min(LONGEST_S, (limit_s or LONGEST_S + CLEAN_UP_S) - CLEAN_UP_S)
    if whole_s is None:
        return "extend needs the job's new whole time"
    if whole_s <= used_s:
        return f"{duration(whole_s)} is less than the {duration(used_s)} that it has used already"
    if whole_s > longest_s:
        return f"{duration(whole_s)} is more than the {duration(longest_s)} that it may take at most"
    return ""
