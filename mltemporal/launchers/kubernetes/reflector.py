"""A copy of one kind of the cluster's objects, kept current by one watch for all of them.

List, then watch from the list's version; bookmarks move the version on while nothing happens; a
version that is too old (410) means listing again; a lost connection is made again after a pause
(https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from typing import Any

from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.launchers.kubernetes.api import Api, Gone

Json = dict[str, Any]

log = logging.getLogger("mltemporal.kubernetes")

_PAGE = 500
_WATCH_S = 60
"""How long one watch lasts: a connection that died without a word is noticed soon after."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0


class Reflector:
    """Keeps ``objects`` (by name) like those of ``resource`` in the cluster: one task for all of them.

    ``changed`` is called with each object that is new, changed or gone. The copy may be a little
    old; while the cluster does not answer, ``trouble`` says why.
    """

    def __init__(
        self,
        api: Api,
        resource: str,
        changed: Callable[[Json], None],
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> None:
        self.objects: dict[str, Json] = {}
        self.synced = False
        """Whether there ever was a whole copy."""
        self.heard = asyncio.Event()
        """Set once the first list was answered, or failed: then there is ``trouble``."""
        self.trouble: MLTemporalError | None = None
        self._api = api
        self._path = api.path(resource)
        self._changed = changed
        self._selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._version = ""

    async def run(self) -> None:
        """Keep the copy until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                pause_s = _FIRST_PAUSE_S
            except Gone:
                self._version = ""
                await asyncio.sleep(_FIRST_PAUSE_S * random.uniform(0.5, 1.0))  # noqa: S311 - as below
            except MLTemporalError as error:
                self._lose(error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - not all workers at once
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                self._version = ""
                self._lose(_not_kubernetes(self._api.server, error))
                await asyncio.sleep(_LONGEST_PAUSE_S * random.uniform(0.5, 1.0))  # noqa: S311 - as above

    def put(self, found: Json) -> None:
        """Take an object that the API server has just answered with, unless the watch is further already."""
        if _number(found["metadata"]["resourceVersion"]) > _number(self._version):
            self.objects[found["metadata"]["name"]] = found
            self._changed(found)

    async def _list(self) -> None:
        found: dict[str, Json] = {}
        page: Json = {}
        token: str | None = None
        while not page or token:
            page = await self._api.get(self._path, limit=_PAGE, **{"continue": token}, **self._selectors)
            token = page["metadata"].get("continue")
            found |= {item["metadata"]["name"]: item for item in page["items"]}
        gone = [item for name, item in self.objects.items() if name not in found]
        self.objects = found
        self._version = page["metadata"]["resourceVersion"]
        self._answered()
        self.synced = True
        self.heard.set()
        for item in [*found.values(), *gone]:
            self._changed(item)

    async def _watch(self) -> None:
        query: Json = {
            "watch": True,
            "allowWatchBookmarks": True,
            "resourceVersion": self._version,
            "timeoutSeconds": _WATCH_S,
            **self._selectors,
        }
        async with self._api.stream(self._path, silence_s=_WATCH_S + 15, **query) as lines:
            self._answered()
            async for line in lines:
                self._take(json.loads(line))

    def _take(self, event: Json) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise Gone(str(item.get("message", item)), "list again")
        self._version = item["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        name = item["metadata"]["name"]
        if kind == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = item
        self._changed(item)

    def _lose(self, error: MLTemporalError) -> None:
        if self.trouble is None or self.trouble.what != error.what:
            log.warning("%s", error)
        self.trouble = error
        self.heard.set()
        self._wake_all()

    def _answered(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._wake_all()

    def _wake_all(self) -> None:
        for item in list(self.objects.values()):
            self._changed(item)


def _not_kubernetes(server: str, error: Exception) -> ServiceUnavailable:
    """Say that an answer has not the form of an API server's: a log-in page's, say, or a proxy's."""
    return ServiceUnavailable(
        f"what {server!r} answers is not a Kubernetes API's answer: {type(error).__name__}: {error}",
        "look at what stands between here and the API server: `kubectl get jobs -v=8`; it is tried again",
    )


def _number(version: str) -> int:
    """Versions of one kind compare as numbers, by promise since Kubernetes 1.35 (KEP-5504)."""
    return int(version) if version.isdecimal() else 0
