"""A worker that is killed (-9) in one activity: ``dying_worker.py ADDRESS ACTIVITY MOMENT``.

Its home is in the environment. ``before``: when it is given the activity; ``during``: a moment after that
began; ``after``: when it is done, and Temporal has not heard of it yet.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from mltemporal.database.engine import Database
from mltemporal.settings import load_settings
from mltemporal.worker import running_worker

BEGUN_S = 0.05


class Death(ClientInterceptor, Interceptor):
    """Kills this process in the activity."""

    def __init__(self, activity: str, moment: str) -> None:
        self.activity = activity
        self.moment = moment

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return Dying(next, self)


class Dying(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, death: Death) -> None:
        super().__init__(next)
        self.death = death

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if input.fn.__name__ != self.death.activity:
            return await super().execute_activity(input)
        if self.death.moment == "during":
            asyncio.get_running_loop().call_later(BEGUN_S, die)
        if self.death.moment == "before":
            die()
        result = await super().execute_activity(input)
        die()
        return result


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(address: str, activity: str, moment: str) -> None:
    settings = load_settings()
    database = Database.open(settings.database_url)
    client = await Client.connect(address, interceptors=[Death(activity, moment)])
    async with running_worker(client, database, settings):
        await asyncio.sleep(100)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
