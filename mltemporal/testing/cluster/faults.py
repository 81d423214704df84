"""What can go wrong on demand between a client and the API server, and what is counted there."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from mltemporal.testing.cluster import statuses


@dataclass
class Faults:
    """The switches; all of them can be set at any time."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests by verb and resource (``("get", "pods/log")``)."""
    denied: set[tuple[str, str, str]] = field(default_factory=set)
    """Verb, resource, and namespace or "" for all."""
    latency_s: float = 0.0
    failing: list[int] = field(default_factory=list)
    """Status codes of the next answers."""
    losing: list[tuple[str, str]] = field(default_factory=list)
    """Verb and resource of requests whose answer will be lost."""
    streams: set[asyncio.BaseTransport] = field(default_factory=set)
    """Connections of open watches and log streams."""

    def allowed(self, verb: str, resource: str, namespace: str) -> bool:
        """Tell whether the user may."""
        rules = {(one, what) for one in (verb, "*") for what in (resource, "*")}
        return not any((*rule, place) in self.denied for rule in rules for place in ("", namespace))

    async def wait(self) -> None:
        """Take the time that requests take."""
        if self.latency_s > 0:
            await asyncio.sleep(self.latency_s)

    def fail(self) -> None:
        """Fail this request if the next ones are to fail.

        Raises:
            ApiError: the status asked for.
        """
        if self.failing:
            raise statuses.injected(self.failing.pop(0))

    def loses(self, verb: str, resource: str) -> bool:
        """Tell whether the answer to this request is to be lost."""
        if (verb, resource) in self.losing:
            self.losing.remove((verb, resource))
            return True
        return False

    def cut_streams(self) -> None:
        """Cut all open watches and log streams."""
        for transport in list(self.streams):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
