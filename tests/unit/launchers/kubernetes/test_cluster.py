"""What is known of the cluster, and waiting for it to change."""

import asyncio

import pytest

from mltemporal.launchers.kubernetes.cluster import Cluster


@pytest.fixture
async def known(api):
    cluster = Cluster(api, "0a1b2c3d")
    yield cluster
    await cluster.close()


@pytest.mark.parametrize("turns", range(4))
async def test_who_is_told_to_stop_in_the_moment_of_a_change_stops(known, turns) -> None:
    waiting = asyncio.create_task(known.change("training-1-1", 30))
    await asyncio.sleep(0.05)
    known._wake("training-1-1")
    for _ in range(turns):
        await asyncio.sleep(0)
    stopped = waiting.cancel()
    await asyncio.wait([waiting])
    assert stopped == waiting.cancelled()
