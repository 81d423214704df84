"""The launcher where the cluster loses answers, cuts and forbids; the rest is in the contract."""

import asyncio
import uuid
from contextlib import contextmanager
from dataclasses import replace

import pytest
from services.kubernetes import IMAGE

from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.launchers.base import Phase
from mltemporal.launchers.kubernetes.launcher import KubernetesLauncher
from mltemporal.settings import ClusterSettings
from mltemporal.specs.request import PodOptions, TrainerRef
from mltemporal.testing.cluster import Cluster

LINES = "import time\nfor i in range({count}):\n    print('line', i, flush=True)\n    time.sleep({pause})\n"


@pytest.fixture(scope="module")
def small():
    """A stand-in whose logs are rotated early."""
    with Cluster(log_bytes=2_000) as cluster:
        cluster.images.add(IMAGE)
        yield cluster


@pytest.fixture
def place(standin, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    name = f"launched-{uuid.uuid4().hex[:8]}"
    standin.create_namespace(name)
    return name


@pytest.fixture
def forbid(standin, place):
    """Take a right away for a while."""

    @contextmanager
    def without(verb: str, resource: str):
        standin.forbid(verb, resource, place)
        try:
            yield
        finally:
            standin.allow(verb, resource, place)

    return without


@pytest.fixture
async def launcher(place):
    launcher = KubernetesLauncher(
        ClusterSettings(namespace=place), storage_url="s3://bucket/prefix", owner="0a1b2c3d"
    )
    yield launcher
    try:
        for name in await launcher.names():
            await launcher.stop(name, 0)
            await launcher.delete(name)
    finally:
        await launcher.close()


@pytest.fixture
def program(spec):
    """Make a job that runs a Python program, without our runtime."""

    def make(text: str):
        trainer = TrainerRef(kind="container", label="p", command=("python", "-c", text))
        made = spec(trainer=trainer, grace_s=1.0)
        return replace(made, key=f"training-{uuid.uuid4().hex[:12]}", pod=PodOptions(image=IMAGE))

    return make


async def output_of(launcher, name: str, position: int = 0, cursor: str = ""):
    output = b""
    async with asyncio.timeout(60):
        async for seen in launcher.follow(name, position, cursor):
            output += seen.output
    return output.decode().splitlines(), seen


async def test_a_lost_answer_to_the_creation_is_made_good_by_the_next_try(standin, launcher, program) -> None:
    job = program("print('once')")
    standin.lose_next_answer("create", "jobs")
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        await launcher.start(job, 1)
    await launcher.start(job, 1)
    await launcher.start(job, 1)
    assert [f"{job.key}-1"] == await launcher.names()
    assert ["once"] == (await output_of(launcher, f"{job.key}-1"))[0]


async def test_no_line_is_lost_or_doubled_by_cuts_and_restarts(standin, launcher, program) -> None:
    job = program(LINES.format(count=60, pause=0.04))
    await launcher.start(job, 1)
    following = asyncio.create_task(output_of(launcher, f"{job.key}-1"))
    for _ in range(3):
        await asyncio.sleep(0.4)
        standin.drop_connections()
    await asyncio.to_thread(standin.restart, 0.1)
    lines, end = await following
    assert [f"line {i}" for i in range(60)] == lines
    assert Phase.SUCCEEDED is end.phase


async def test_what_a_rotated_log_still_has_is_read_once(small, monkeypatch, program) -> None:
    monkeypatch.setenv("KUBECONFIG", small.kubeconfig)
    launcher = KubernetesLauncher(ClusterSettings(), storage_url="s3://bucket/prefix", owner="0a1b2c3d")
    job = program("for i in range(1000):\n    print('line', i, flush=True)\n")
    try:
        await launcher.start(job, 1)
        async with asyncio.timeout(30):
            while not (await launcher.find(f"{job.key}-1")).phase.final:
                await asyncio.sleep(0.05)
        lines, end = await output_of(launcher, f"{job.key}-1")
        numbers = [int(line.split()[1]) for line in lines]
        assert list(range(numbers[0], 1000)) == numbers, "the newest lines, each once"
        assert 0 < numbers[0]
        again, _ = await output_of(launcher, f"{job.key}-1", end.position, end.cursor)
        assert [] == again
        await launcher.delete(f"{job.key}-1")
    finally:
        await launcher.close()


@pytest.mark.parametrize(
    ("right", "kind"),
    [
        (("create", "jobs"), InvalidRequest),
        (("list", "jobs"), ServiceUnavailable),
        (("list", "pods"), ServiceUnavailable),
    ],
)
async def test_a_right_that_is_missing_is_named(forbid, launcher, program, right, kind) -> None:
    with forbid(*right), pytest.raises(kind) as caught:
        await launcher.start(program(""), 1)
    assert 'cannot {} resource "{}"'.format(*right) in caught.value.what
    assert "give the service account the Role in deploy/" in caught.value.next_step
    assert [] == await launcher.names()


async def test_output_that_may_not_be_read_is_said_while_the_job_runs(forbid, launcher, program) -> None:
    job = program("import time\nprint('hidden', flush=True)\ntime.sleep(3)")
    reasons, phase = set(), None
    with forbid("get", "pods/log"):
        await launcher.start(job, 1)
        async with asyncio.timeout(30):
            async for seen in launcher.follow(f"{job.key}-1", 0):
                reasons.add(seen.reason)
                phase = seen.phase
    assert Phase.SUCCEEDED is phase
    (said,) = [reason for reason in reasons if "its output cannot be read" in reason]
    assert 'cannot get resource "pods/log"' in said


async def test_warnings_are_a_help_and_no_need(forbid, launcher, program) -> None:
    job = program("print('fine')")
    with forbid("list", "events"):
        await launcher.start(job, 1)
        assert ["fine"] == (await output_of(launcher, f"{job.key}-1"))[0]


async def test_all_jobs_are_followed_by_three_watches(standin, launcher, program) -> None:
    jobs = [program("import time; time.sleep(1)") for _ in range(8)]
    before = standin.request_counts
    await asyncio.gather(*(launcher.start(job, 1) for job in jobs))
    ends = await asyncio.gather(*(output_of(launcher, f"{job.key}-1") for job in jobs))
    assert {Phase.SUCCEEDED} == {end.phase for _, end in ends}
    asked = standin.request_counts - before
    assert {("watch", "jobs"): 1, ("watch", "pods"): 1, ("watch", "events"): 1} == {
        key: count for key, count in asked.items() if key[0] == "watch"
    }
    assert 0 == asked["get", "jobs"] == asked["get", "pods"], "nothing is polled"


async def test_a_hopeless_job_goes_even_before_the_cluster_gives_it_up(
    launcher, program, monkeypatch
) -> None:
    job = program("")
    job = replace(job, pod=replace(job.pod, image="nowhere/nothing:1"))
    name = f"{job.key}-1"
    await launcher.start(job, 1)
    async with asyncio.timeout(30):
        while (await launcher.find(name)).phase is not Phase.FAILED:
            await asyncio.sleep(0.05)
    cluster = await launcher._ready()
    put = type(cluster.jobs)._take

    def without_status(self, event):  # the cluster says late that the Job has failed
        if self is cluster.jobs and event["type"] == "MODIFIED":
            event["object"].get("status", {}).pop("conditions", None)
        put(self, event)

    monkeypatch.setattr(type(cluster.jobs), "_take", without_status)
    await launcher.stop(name, 0)
    await launcher.delete(name)
    assert [] == await launcher.names()
