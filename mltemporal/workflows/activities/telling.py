"""What people are told of a job: its end in a line, without its traceback; a command in words."""

from __future__ import annotations

from typing import Any

from mltemporal.database.jobs import JobRow
from mltemporal.param_values import told_values
from mltemporal.specs.encoding import decode
from mltemporal.specs.running import Command
from mltemporal.words import clean, duration

_LONGEST_REASON = 200


def told_of_job(job: JobRow) -> str:
    """Return how the job ended in one or two lines."""
    facts = job_facts(job)
    took = f" after {duration(facts['duration_s'])}" if facts["duration_s"] is not None else ""
    first = f"job {job.id} {job.name!r} ({job.kind}) {_VERBS.get(job.status.value, job.status)}{took}"
    return clean(f"{first}\n{facts['reason']}" if facts["reason"] else first)


def told_command(command: Command) -> str:
    """Return the command as the job's history tells it."""
    if command.verb == "extend" and command.timeout_s is not None:
        return f"extend to {duration(command.timeout_s)}"
    if command.verb == "set" and command.params_json:
        return f"set {told_values(decode(command.params_json, dict[str, Any]))}"
    return command.verb


def job_facts(job: JobRow) -> dict[str, Any]:
    """Return what a program may want to know of the job's end; JSON-able."""
    began = job.started_at if job.started_at is not None else job.created_at
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "status": job.status.value,
        "duration_s": None if job.finished_at is None else round(job.finished_at - began, 3),
        "reason": reason(job.error),
    }


def reason(error: str) -> str:
    """Return the line that says why: of a traceback the exception's, otherwise the first."""
    lines = [line for line in error.splitlines() if line.strip()]
    if not lines:
        return ""
    if not lines[0].startswith("Traceback (most recent call last)"):
        return lines[0][:_LONGEST_REASON]
    # The exception's line is the first that is not indented, after the frames.
    after = [line for line in lines[1:] if not line.startswith((" ", "\t"))]
    return (after[0] if after else lines[-1].strip())[:_LONGEST_REASON]


def slack_text(text: str) -> str:
    """Return the text as Slack wants it: otherwise a job named ``<!channel>`` would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_VERBS = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}
