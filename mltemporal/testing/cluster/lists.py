"""Lists, in pages that all show the same moment."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from mltemporal.testing.cluster import statuses
from mltemporal.testing.cluster.requests import Request
from mltemporal.testing.cluster.selectors import Matches, selector
from mltemporal.testing.cluster.store import Object, Store

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


def wanted(request: Request, query: Mapping[str, str]) -> Matches:
    """Return what tells whether an object is among those the request is for."""
    return selector(request.resource.plural, query.get("labelSelector", ""), query.get("fieldSelector", ""))


class Lists:
    """Answers list requests; keeps what is left of those that are read in pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshots: dict[str, tuple[int, list[Object]]] = {}

    def page(self, request: Request, query: Mapping[str, str]) -> Object:
        """Return a list object: all of it, or the page that ``limit`` and ``continue`` name.

        Raises:
            ApiError: 400 (selector, token), 410 (the snapshot was compacted).
        """
        token = query.get("continue", "")
        if token:
            if token not in self._snapshots:
                raise (
                    statuses.gone(_TOO_OLD)
                    if _is_token(token)
                    else statuses.bad_request("continue key is not valid")
                )
            revision, items = self._snapshots[token]
        else:
            matches = wanted(request, query)
            items = [
                body for body in self._store.all(request.resource.plural, request.namespace) if matches(body)
            ]
            revision = self._store.revision
        limit = int(query.get("limit") or 0) or len(items)
        meta: Object = {"resourceVersion": str(revision)}
        if len(items) > limit:
            meta["continue"] = self._keep(revision, items[limit:], items[limit - 1])
            meta["remainingItemCount"] = len(items) - limit
        kind = request.resource
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": meta,
            "items": items[:limit],
        }

    def _keep(self, revision: int, rest: list[Object], last: Object) -> str:
        start = f"{last['metadata'].get('namespace', '')}/{last['metadata']['name']}\0"
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
        token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        self._snapshots[token] = (revision, rest)
        return token

    def forget(self) -> None:
        """Forget all snapshots: going on with a list gets 410."""
        self._snapshots.clear()


def _is_token(token: str) -> bool:
    try:
        return "rv" in json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        return False
