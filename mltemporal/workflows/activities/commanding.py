"""The activity that carries commands out: on the process, by its launcher or through its orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import InvalidRequest
from mltemporal.launchers.base import Launcher, Phase
from mltemporal.param_values import check_names, check_values
from mltemporal.specs.encoding import decode
from mltemporal.specs.orders import EXTENDED, ORDERS, Answer, Extended, Hears, Order, Orders
from mltemporal.specs.running import Attempt, Command
from mltemporal.storage.content import Storage
from mltemporal.words import duration
from mltemporal.workflows.activities.pulse import beating
from mltemporal.workflows.activities.telling import told_command

_ANSWER_S = 8.0
"""How long an order's answer is waited for: who asked wants to know, and waits for 30 s at most."""
_SAVED_S = 15.0
_PAUSE_S = 5.0
_LOOK_S = 0.1
_MOST_ORDERS = 100


class CommandActivities:
    """Built once a worker, with a launcher for each backend."""

    def __init__(self, database: Database, storage: Storage, launchers: Mapping[str, Launcher]) -> None:
        self._database = database
        self._storage = storage
        self._launchers = launchers

    @activity.defn
    async def command_training_job(self, attempt: Attempt, command: Command) -> str:
        """Carry out a command, and record it with who gave it; returns in a sentence what came of it.

        Raises:
            InvalidRequest: it is refused, and says why; that is recorded too. Never retried.
            ServiceUnavailable: launcher, database or storage did not answer; retried.

        Idempotency: an order is given once by its command's id, and so is its event. A command that an
            earlier run of the workflow recorded is refused: a run knows only its own ids.
        Heartbeat: each second.
        """
        job = await asyncio.to_thread(self._database.jobs.get, attempt.job_id)
        carried_out = await asyncio.to_thread(self._carried_out, job, attempt, command)
        told = told_command(command)
        try:
            async with beating():
                answer = await self._carry_out(job, attempt, command)
        except InvalidRequest as refusal:
            if carried_out:  # since then the process has ended, say; what is recorded stands
                return f"{told}: it was carried out"
            await asyncio.to_thread(self._record, job, attempt, command, f"{told} refused: {refusal.what}")
            raise
        await asyncio.to_thread(self._record, job, attempt, command, told)
        return answer

    def _carried_out(self, job: JobRow, attempt: Attempt, command: Command) -> bool:
        """Whether an earlier try of this activity has carried the command out, and nobody heard the answer.

        Raises:
            InvalidRequest: an earlier try has refused it; or it was recorded by another run.
        """
        recorded = self._database.jobs.event(job.id, f"command-{command.id}") if command.id else None
        if recorded is None:
            return False
        if activity.info().attempt == 1 or recorded.attempt != attempt.number:
            raise InvalidRequest("this command was given before", "give it anew; job.history() tells of it")
        told = told_command(command)
        if recorded.message != told:
            raise InvalidRequest(recorded.message.removeprefix(f"{told} refused: "), "look at job.status")
        return True

    async def _carry_out(self, job: JobRow, attempt: Attempt, command: Command) -> str:
        if command.verb == "extend":
            # The workflow keeps the time; one that replaces it reads it here.
            extended = Extended(timeout_s=command.timeout_s or 0.0, attempt=attempt.number)
            await asyncio.to_thread(self._storage.put_note, job.key, EXTENDED, extended)
            await allow_time(self._launchers.get(job.spec.backend), self._storage, job, attempt)
            return f"it may take {duration(extended.timeout_s)} in all"
        launcher, name = self._launchers.get(job.spec.backend), f"{job.key}-{attempt.number}"
        if launcher is None:
            raise InvalidRequest(f"this worker has no backend {job.spec.backend!r}", "run one that has it")
        seen = await launcher.find(name)
        if seen is None or seen.phase not in (Phase.RUNNING, Phase.SUSPENDED):
            orders = await asyncio.to_thread(self._orders, job)
            if _is_given(orders, command):  # by a try whose worker died
                answer = await self._answer(job, attempt, command.id, 0.0)
                if answer is not None or not _saves(command):
                    return _NEXT if answer is None else answer.words
            where = "has no process" if seen is None else f"is {_WORDS.get(seen.phase, seen.phase)}"
            over = seen is not None and seen.phase in (Phase.SUCCEEDED, Phase.FAILED)
            instead = "look at job.status: it ends, or begins again" if over else "wait until it is running"
            raise InvalidRequest(f"cannot {command.verb} a job that {where}", instead)
        if command.verb == "pause":
            saved = await self._save_first(job, attempt, command, seen.phase)
            await launcher.suspend(name)
            return f"paused{saved}"
        if command.verb == "resume":
            await launcher.resume(name)
            return "it goes on"
        hears = await self._hears(job, attempt)
        await asyncio.to_thread(_check_heard, job, hears, command)
        await asyncio.to_thread(self._give, job, attempt, command)
        if seen.phase is Phase.SUSPENDED:
            return "asked: it is paused, and hears of it when it goes on"
        answer = await self._answer(job, attempt, command.id, _SAVED_S if _saves(command) else _ANSWER_S)
        return _LATER[command.verb] if answer is None else answer.words

    async def _save_first(self, job: JobRow, attempt: Attempt, command: Command, phase: Phase) -> str:
        """Have a process that can save its state do so: a paused one may be lost with its machine."""
        hears = await asyncio.to_thread(self._storage.get_note, job.key, f"{attempt.number}/hears", Hears)
        if hears is None or not hears.saves or not command.id or phase is Phase.SUSPENDED:
            return ""
        asked = replace(command, verb="checkpoint_now", id=f"{command.id}-pause")
        await asyncio.to_thread(self._give, job, attempt, asked)
        answer = await self._answer(job, attempt, asked.id, _PAUSE_S)
        return "" if answer is None else f"; {answer.words}"

    async def _hears(self, job: JobRow, attempt: Attempt) -> Hears | None:
        """Return what the process hears, as soon as it says so; None where it has not begun to train."""
        deadline = time.monotonic() + _ANSWER_S
        name = f"{attempt.number}/hears"
        while (hears := await asyncio.to_thread(self._storage.get_note, job.key, name, Hears)) is None:
            if job.spec.trainer.kind == "container" or time.monotonic() > deadline:
                return None
            await asyncio.sleep(_LOOK_S)  # another process, perhaps far away, writes it
        return hears

    def _orders(self, job: JobRow) -> Orders:
        return self._storage.get_note(job.key, ORDERS, Orders) or Orders()

    def _give(self, job: JobRow, attempt: Attempt, command: Command) -> None:
        """Write the order down where the process looks. Idempotent by the command's id."""
        orders = self._orders(job)
        if _is_given(orders, command):
            return
        order = Order(id=command.id, verb=command.verb, by=command.by, attempt=attempt.number)
        values = decode(command.params_json, dict[str, Any]) if command.verb == "set" else {}
        params = orders.params | values
        if values:
            check_values(params)  # the limit is for all of them
        given = (*orders.given, order)[-_MOST_ORDERS:]
        self._storage.put_note(job.key, ORDERS, Orders(params=params, given=given))

    async def _answer(self, job: JobRow, attempt: Attempt, order: str, within_s: float) -> Answer | None:
        """Return what the process answers; None where it has not done so in time."""
        name, deadline = f"{attempt.number}/answers", time.monotonic() + within_s
        while True:
            answers = await asyncio.to_thread(self._storage.get_note, job.key, name, dict[str, Answer])
            if answers is not None and order in answers:
                return answers[order]
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_LOOK_S)

    def _record(self, job: JobRow, attempt: Attempt, command: Command, told: str) -> None:
        event = Event(
            time=time.time(),
            kind="command",
            attempt=attempt.number,
            message=told,
            created_by=command.giver,
        )
        here = activity.info()  # ids of activities start anew in each run, of which a retried job has several
        key = command.id or f"{here.workflow_run_id}-{here.activity_id}"
        self._database.jobs.add_event(job.id, event, key=f"command-{key}")


async def allow_time(launcher: Launcher | None, storage: Storage, job: JobRow, attempt: Attempt) -> None:
    """Have the place itself not end the attempt before the time that `extend` gave. Idempotent.

    Called after the time was given, and after an attempt was started: whichever is later sees the other.
    """
    extended = await asyncio.to_thread(storage.get_note, job.key, EXTENDED, Extended)
    if launcher is not None and extended is not None:
        time_s = max(extended.timeout_s, job.spec.timeout_s) + job.spec.grace_s
        await launcher.allow(f"{job.key}-{attempt.number}", time_s)


def _is_given(orders: Orders, command: Command) -> bool:
    return bool(command.id) and any(order.id == command.id for order in orders.given)


def _saves(command: Command) -> bool:
    return command.verb == "checkpoint_now"


def _check_heard(job: JobRow, hears: Hears | None, command: Command) -> None:
    """Refuse what this kind of job, or this process now, cannot do.

    Raises:
        InvalidRequest: says why.
    """
    verb = command.verb
    if job.kind != "training":
        saves = verb == "checkpoint_now"
        instead = "each shard is kept as soon as it is done" if saves else "cancel and launch it anew"
        raise InvalidRequest(f"cannot {verb} a job of kind {job.kind}", instead)
    if job.spec.trainer.kind == "container":
        raise InvalidRequest(
            f"cannot {verb} a container: it does not hear of it", "pause, resume and cancel work"
        )
    if job.spec.pod.nodes > 1:
        processes = f"{job.spec.pod.nodes} processes"
        raise InvalidRequest(
            f"cannot {verb} a training of {processes}: they would hear of it at different steps",
            "let one of them decide and tell the others; or cancel and retry",
        )
    if hears is None:
        raise InvalidRequest(f"cannot {verb} a job that has not begun to train", "try again in a moment")
    if verb not in hears.verbs:
        raise InvalidRequest(
            f"cannot {verb} a training by {job.spec.trainer.label}: "
            + (
                "its parameters are fixed once it trains"
                if verb == "set"
                else "it can only be interrupted as a whole"
            ),
            "a function that uses mltemporal.params, checkpoint and track can"
            + ("" if verb == "set" else "; so can forests and histogram boosting with a random_state="),
        )
    if verb == "set":
        check_names(decode(command.params_json, dict[str, Any]), hears.params)


_WORDS = {Phase.SUCCEEDED: "at its end", Phase.FAILED: "at its end", Phase.INTERRUPTED: "interrupted"}
_NEXT = "asked: the process has ended meanwhile; another attempt hears of it"
_LATER = {
    "checkpoint_now": "asked: it is saved at the next checkpoint.save of the training",
    "stop_early": "asked: it ends at the next item of track, or when the training asks should_stop()",
    "set": "asked: the training sees it at its next report or step of track",
}
"""What is answered where the process has not answered in time."""
