"""What jobs are found by in Temporal's own UI and CLI: ``MltemporalBackend = "kubernetes"``.

Whoever operates Temporal may read them, so they hold no name, no tag and no user. They are a
convenience: where they are not registered, and may not be, jobs start without them.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.common import TypedSearchAttributes
    from temporalio.service import RPCError

    from mltemporal.database.jobs import JobRow

NAMES = {"MltemporalJob": "Int", "MltemporalKind": "Keyword", "MltemporalBackend": "Keyword"}
"""Name and type, by Temporal's words."""

_ANSWER = timedelta(seconds=5)
_REMEMBERED_S = 600.0
_refused_at: dict[tuple[str, str], float] = {}
"""When which Temporal (address and namespace) did not know them."""


async def register(client: Client) -> str:
    """Register those that are missing; return why some are not, or nothing. Idempotent.

    Temporal takes some seconds to know new ones.
    """
    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
    from temporalio.service import RPCError, RPCStatusCode

    operator, namespace = client.operator_service, client.namespace
    try:
        found = await operator.list_search_attributes(
            ListSearchAttributesRequest(namespace=namespace), timeout=_ANSWER
        )
        missing = [name for name in NAMES if name not in found.custom_attributes]
        if missing:
            types = {
                name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{NAMES[name].upper()}") for name in missing
            }
            await operator.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes=types), timeout=_ANSWER
            )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return ""  # another worker was quicker
        return error.message
    return ""


def of(client: Client, row: JobRow) -> TypedSearchAttributes | None:
    """Return the job's; None where this Temporal lately did not know them. Asks nobody."""
    from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

    if time.monotonic() - _refused_at.get(_temporal(client), float("-inf")) < _REMEMBERED_S:
        return None
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_int("MltemporalJob"), row.id),
            SearchAttributePair(SearchAttributeKey.for_keyword("MltemporalKind"), row.kind),
            SearchAttributePair(SearchAttributeKey.for_keyword("MltemporalBackend"), row.spec.backend),
        ]
    )


def refused(client: Client, error: RPCError) -> bool:
    """Whether Temporal may have refused a start because of them; remembered for ten minutes."""
    from temporalio.service import RPCStatusCode

    if error.status is not RPCStatusCode.INVALID_ARGUMENT:
        return False
    _refused_at[_temporal(client)] = time.monotonic()
    return True


def _temporal(client: Client) -> tuple[str, str]:
    return client.service_client.config.target_host, client.namespace
