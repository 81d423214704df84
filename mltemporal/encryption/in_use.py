"""Whether what a key sealed may still be needed: by open workflows, or by a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mltemporal.encryption.keyring import Key, Keyring
from mltemporal.errors import InvalidRequest, ServiceUnavailable

if TYPE_CHECKING:
    from temporalio.client import Client

_SCHEDULES = "monitor-"


def described(keyring: Keyring) -> str:
    """Say which key encrypts, for a person."""
    newest = keyring.newest()
    since = datetime.fromtimestamp(newest.created_at).astimezone().strftime("%Y-%m-%d")
    others = len(keyring.keys) - 1
    more = "" if not others else f", and {others} older that still decrypt{'s' if others == 1 else ''}"
    return f"on, with the key {newest.id} of {since}{more} ({keyring.path})"


async def check_unused(client: Client, keyring: Keyring, key: Key) -> None:
    """Refuse to let a key go that open workflows or a schedule may need.

    Raises:
        InvalidRequest: they may.
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError

    later = [each.encrypts_from for each in keyring.keys if each.encrypts_from > key.encrypts_from]
    try:
        if later:
            until = datetime.fromtimestamp(min(later), UTC).isoformat()
            query = f"ExecutionStatus = 'Running' AND StartTime < '{until}'"
            if count := (await client.count_workflows(query)).count:
                some = f"{count} open workflow{'s' if count > 1 else ''}"
                raise InvalidRequest(
                    f"{some} may hold what the key {key.id!r} sealed",
                    "wait until those jobs have ended; without the key they fail",
                )
        if monitor := await _schedule_with(client, key):
            raise InvalidRequest(
                f"the schedule {monitor!r} is sealed with the key {key.id!r}",
                "run mltemporal.monitor() again, which seals it with the newest",
            )
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal cannot be asked what the key {key.id!r} is needed for: {error.message}",
            "run `mltemporal doctor`",
        ) from error


async def _schedule_with(client: Client, key: Key) -> str:
    from temporalio.api.common.v1 import Payload
    from temporalio.client import ScheduleActionStartWorkflow

    async for listed in await client.list_schedules():
        if not listed.id.startswith(_SCHEDULES):
            continue
        action = (await client.get_schedule_handle(listed.id).describe()).schedule.action
        given = action.args if isinstance(action, ScheduleActionStartWorkflow) else []
        sealed_with = [each.metadata.get("key") for each in given if isinstance(each, Payload)]
        if key.id.encode() in sealed_with:
            return listed.id
    return ""
