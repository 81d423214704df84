"""The activity that tells people: by a webhook, by a command, or both."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import time
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from temporalio import activity

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event
from mltemporal.errors import ServiceUnavailable
from mltemporal.specs.health import Notice
from mltemporal.workflows.activities.pulse import EVERY_S
from mltemporal.workflows.activities.telling import job_facts, slack_text, told_of_job

_WEBHOOK_S = 15.0
_COMMAND_S = 60.0
_AGAIN = "it is tried again for a day; look at MLTEMPORAL_NOTIFY_… where the worker runs"


class NotificationActivities:
    """Built once a worker, with where to tell it: both are secrets, and appear in no error."""

    def __init__(self, database: Database, *, webhook: str | None = None, command: str | None = None) -> None:
        self._database = database
        self._webhook = webhook
        self._command = command

    @activity.defn
    async def deliver_notice(self, notice: Notice) -> None:
        """Tell it to the webhook and to the command, as far as there are.

        Raises:
            ServiceUnavailable: one of them did not take it, or the database did not answer; retried.
            NotFound: there is no such job any more; never retried.

        Idempotency: told at least once. What took it already is remembered in the heartbeat, so that a
            try for the other's sake does not repeat it, unless the worker died in that moment. That a job's
            end was told is recorded: its workflow, started again under its own id, tells nothing.
        Heartbeat: each second, with who took it.
        """
        key = f"told-{activity.info().workflow_id}"
        if await asyncio.to_thread(self._was_told, notice, key):
            return
        taken: set[str] = set(activity.info().heartbeat_details)
        message = await asyncio.to_thread(self._message, notice)
        beats = asyncio.create_task(_beat(taken))
        try:
            troubles = []
            for way, tell in (("webhook", self._post), ("command", self._run)):
                if way not in taken:
                    try:
                        await tell(message)
                        taken.add(way)
                    except ServiceUnavailable as error:
                        troubles.append(error)
        finally:
            beats.cancel()
            activity.heartbeat(*sorted(taken))
        if troubles:
            raise troubles[0]
        await asyncio.to_thread(self._record_told, notice, key)

    def _was_told(self, notice: Notice, key: str) -> bool:
        return notice.job_id is not None and self._database.jobs.event(notice.job_id, key) is not None

    def _record_told(self, notice: Notice, key: str) -> None:
        if notice.job_id is not None:
            attempt = self._database.jobs.get(notice.job_id).attempt
            told = Event(time=time.time(), kind="notice", attempt=attempt, message="its end was told")
            self._database.jobs.add_event(notice.job_id, told, key=key)

    def _message(self, notice: Notice) -> dict[str, Any]:
        if notice.job_id is None:
            return {"text": notice.text}
        job = self._database.jobs.get(notice.job_id)
        return {"text": told_of_job(job), "job": job_facts(job)}

    async def _post(self, message: dict[str, Any]) -> None:
        if self._webhook is not None:
            trouble = await asyncio.to_thread(_posted, self._webhook, slack_text(message["text"]))
            if trouble:
                raise ServiceUnavailable(f"the webhook did not take the notice: {trouble}", _AGAIN)

    async def _run(self, message: dict[str, Any]) -> None:
        if self._command is None:
            return
        try:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(self._command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceUnavailable(
                f"the notice's command cannot be started: {error.strerror}", _AGAIN
            ) from None
        try:
            await asyncio.wait_for(process.communicate(json.dumps(message).encode()), _COMMAND_S)
        except TimeoutError:
            raise ServiceUnavailable(
                f"the notice's command did not end within {_COMMAND_S:.0f} s", _AGAIN
            ) from None
        finally:
            with suppress(ProcessLookupError, PermissionError):  # what it left running, too
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode:
            raise ServiceUnavailable(
                f"the notice's command ended with exit code {process.returncode}", _AGAIN
            )


def _posted(url: str, text: str) -> str:
    """Post the text; return in words why it was not taken, without the URL, which is a secret."""
    body = json.dumps({"text": text}).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - http(s) only
    try:
        with build_opener(_NoRedirect).open(request, timeout=_WEBHOOK_S):
            return ""
    except HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except OSError as error:
        reason = getattr(error, "reason", error)
        return f"it does not answer ({type(reason).__name__})"
    except Exception as error:  # whatever a strange server makes the library raise, the URL may be in it
        return f"it does not answer as a web server does ({type(error).__name__})"


class _NoRedirect(HTTPRedirectHandler):
    """A webhook answers itself: a redirect would carry the message elsewhere, as a GET without it."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow nowhere: the answer is an error."""


async def _beat(taken: set[str]) -> None:
    while True:
        activity.heartbeat(*sorted(taken))
        await asyncio.sleep(EVERY_S)
