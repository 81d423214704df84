"""``mltemporal replay``: do the histories of this Temporal fit the workflow code at hand?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mltemporal.cli.runs import table
from mltemporal.settings import process_settings

if TYPE_CHECKING:
    from mltemporal.deployments.replaying import Replayed

_HEAD = ("JOB", "WORKFLOW", "STATE", "EVENTS", "REPLAY", "EVENT", "WHY")


def replay(limit: int, job: int | None) -> int:
    """Replay the newest histories, or those of one job; exit code 1 where one does not fit."""

    async def ask() -> list[Replayed]:
        from mltemporal.deployments.rollout import opened

        async with opened(process_settings()) as rollout:
            return await rollout.replayed(limit=limit, job=job)

    found = asyncio.run(ask())
    if not found:
        print("no workflow to replay")
        return 0
    for line in table([_HEAD, *map(_describe, found)]):
        print(line)
    wrong = sum(each.misfit for each in found)
    unread = sum(not each.ok and not each.misfit for each in found)
    if unread:
        print(
            f"\n{unread} are closed and sealed with no key of this process, or not sealed: they say nothing"
        )
    print(
        f"\n{wrong} of {len(found)} do not fit this code"
        if wrong
        else f"\nall {len(found) - unread} fit this code"
    )
    return 1 if wrong else 0


def _describe(each: Replayed) -> tuple[str, ...]:
    return (
        "" if each.job_id is None else str(each.job_id),
        each.kind,
        "open" if each.open else "closed",
        str(each.events),
        "ok" if each.ok else "FAILS" if each.misfit else "unread",
        each.event,
        each.reason,
    )
