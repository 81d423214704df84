"""The heartbeat of an activity that works or waits without anything to tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

EVERY_S = 1.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Beat each second for the block's length, so that the death of this worker is noticed soon."""
    beats = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beats.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(EVERY_S)
