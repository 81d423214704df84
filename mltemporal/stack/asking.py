"""Asking a server from plain code: in a notebook's cell an event loop runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mltemporal.errors import StackError

_ANSWER_S = 10.0

Answer = TypeVar("Answer")


def within(ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run ``ask`` in a thread and an event loop of its own, for at most 10 s.

    Raises:
        StackError: it took longer.
    """

    async def limited() -> Answer:
        try:
            return await asyncio.wait_for(ask(), _ANSWER_S)
        except TimeoutError:
            raise StackError(f"no answer within {_ANSWER_S:.0f} s", "run `mltemporal status`") from None

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(limited())).result()
