"""What a kernel commands its jobs while they run, and the journal of it.

A kernel may be killed at any moment, and its services may be away. So each looks first whether the job's
history has the command already, whoever gave it, and gives it until then.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mltemporal.errors import InvalidRequest

from .record import Asked
from .workload import REWOUND, Work


class Journal:
    """Which commands were given to the jobs of one work, and what the kernel was told.

    Args:
        path: where the kernels write it down.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def give(self, job: Any, told: str, command: Callable[[], object]) -> bool:
        """Give a command; returns whether it was accepted.

        Args:
            job: to which.
            told: the command as the job's history must tell it.
            command: gives it.
        """
        number = uuid.uuid4().hex
        self._write(number, job_id=job.id, told=told)
        try:
            answer = command()
        except InvalidRequest as refusal:
            self._write(number, came="refused", text=refusal.what)
            return False
        if answer is not False:  # of a cancellation: it may have been recorded all the same
            self._write(number, came="answered", text=str(answer))
        return True

    def _write(self, number: str, **facts: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"number": number} | facts) + "\n")


def asked_in(path: Path) -> list[Asked]:
    """Return the commands of a journal."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        facts = json.loads(line)
        found.setdefault(facts.pop("number"), {}).update(facts)
    return [Asked(**facts) for facts in found.values()]


def commanded(journal: Journal, job: Any, work: Work, repaired: Path) -> None:
    """Give the job the commands of its kind; returns when nothing more is to be commanded.

    Args:
        journal: of this work.
        job: its handle.
        work: what it is for.
        repaired: the file that has a job of the kind ``retried`` go on.
    """
    if work.kind == "cancelled":
        _wait_for_progress(job)
        journal.give(job, work.command, job.cancel)
    elif work.kind == "paused":
        _pause_and_resume(journal, job)
    elif work.kind == "retried":
        _again(journal, job, work, "meant to fail", repaired.touch)
    elif work.kind == "set":
        _wait_for_progress(job)
        _give(journal, job, work, lambda: job.set(turn=work.turn))
    elif work.kind == "extended":
        _extend(journal, job, work)
    elif work.kind == "stopped":
        _wait_for_progress(job)
        _give(journal, job, work, job.stop_early)
    elif work.kind == "checkpointed":
        _wait_for_progress(job)
        _give(journal, job, work, job.checkpoint_now)
    elif work.kind in REWOUND:
        _rewind(journal, job, work)


def _wait_for_progress(job: Any) -> None:
    while job.progress is None and not job.done():
        time.sleep(0.1)


def _accepted(job: Any, told: str) -> bool:
    """Whether the job's history has the command, whoever gave it."""
    history = job.history()
    messages = list(history["message"][history["kind"] == "command"])
    undone = sum(message.startswith(f"{told} undone: ") for message in messages)
    return messages.count(told) > undone


def _give(journal: Journal, job: Any, work: Work, command: Callable[[], object]) -> None:
    """Give a command until it is accepted, or the job has ended."""
    while not _accepted(job, work.command) and not job.done():
        if journal.give(job, work.command, command):
            return
        time.sleep(0.3)


def _pause_and_resume(journal: Journal, job: Any) -> None:
    """Pause it once, if it lets itself be paused before it ends, and see that it never stays so."""
    paused = False
    while not job.done():
        if job.status == "paused":
            time.sleep(0.3)
            paused = journal.give(job, "resume", job.resume) or paused
        elif not paused and job.progress is not None:
            journal.give(job, "pause", job.pause)
        time.sleep(0.1)


def _again(journal: Journal, job: Any, work: Work, why: str, mend: Callable[[], object]) -> None:
    """Mend what makes it fail when it has failed so, and have it go on."""
    while True:
        job.wait()
        if job.status != "failed" or why not in str(job.exception()):
            return
        mend()
        if not journal.give(job, "retry", job.retry):  # a kernel that is dead now has asked for it already
            time.sleep(0.1)


def _extend(journal: Journal, job: Any, work: Work) -> None:
    """Give it more time; where its time was over before that could be done, have it try again."""
    while True:
        _give(journal, job, work, lambda: job.extend(600))
        job.wait()
        if job.status != "failed" or "the job's time was over" not in str(job.exception()):
            return
        if _accepted(job, work.command):
            return  # which breaks a promise
        if not journal.give(job, "retry", job.retry):
            time.sleep(0.1)


def _rewind(journal: Journal, job: Any, work: Work) -> None:
    """Start it again, once, when it has ended."""
    while not _accepted(job, work.command):
        job.wait()
        if job.status != "succeeded":
            return
        if not journal.give(job, work.command, lambda: job.rewind(work.back_to)):
            time.sleep(0.1)
