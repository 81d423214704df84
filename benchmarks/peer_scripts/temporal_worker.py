"""A worker for a workflow of four empty activities: ``python temporal_worker.py ADDRESS TASK_QUEUE``.

It runs until its standard input closes, so that it never outlives who started it.
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.service import GrpcCompression
from temporalio.worker import Worker


@activity.defn
async def nothing() -> None: ...


@workflow.defn
class FourEmptyActivities:
    @workflow.run
    async def run(self) -> float:
        for _ in range(4):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=30))
        return 1.0


async def main(address: str, task_queue: str) -> None:
    client = await Client.connect(address, grpc_compression=GrpcCompression.NONE)
    async with Worker(client, task_queue=task_queue, workflows=[FourEmptyActivities], activities=[nothing]):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
