"""The Kubernetes launcher keeps the launchers' contract, on the stand-in and on a real cluster."""

import asyncio
import time
from dataclasses import replace

import pytest
from contracts.launcher import FOREVER, LauncherContract, followed, until_it_says
from services.kubernetes import STORAGE_SECRET, Place, real_cluster, standin, standin_place  # noqa: F401
from services.s3 import s3  # noqa: F401

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.base import Phase
from mltemporal.launchers.kubernetes.launcher import KubernetesLauncher
from mltemporal.launchers.kubernetes.manifest import deadline_s
from mltemporal.settings import ClusterSettings
from mltemporal.specs.request import PodOptions, Resources, SecretRef
from mltemporal.storage.content import Storage

OWNER = "0a1b2c3d"


class KubernetesContract(LauncherContract):
    """Derived classes give the fixture ``place``."""

    # Suspending a Job ends its pods: what holds instead is below.
    test_a_suspended_process_stands_still_until_it_is_resumed = None

    @pytest.fixture
    def storage(self, place: Place) -> Storage:
        return Storage(place.storage_url)

    @pytest.fixture
    def settings(self, place: Place, monkeypatch) -> ClusterSettings:
        monkeypatch.setenv("KUBECONFIG", place.kubeconfig)
        return ClusterSettings(namespace=place.namespace, storage_secret=STORAGE_SECRET)

    @pytest.fixture
    async def launcher(self, place: Place, settings: ClusterSettings):
        launcher = KubernetesLauncher(settings, storage_url=place.storage_url, owner=OWNER)
        yield launcher
        try:
            for name in await launcher.names():
                await launcher.stop(name, 0)
                await launcher.delete(name)
            await asyncio.to_thread(place.until_clean)
        finally:
            await launcher.close()

    @pytest.fixture
    def make_spec(self, place: Place, store_script):
        def make(text, *, pod=None, **fields):
            options = replace(pod or PodOptions(), image=(pod and pod.image) or place.image)
            return store_script(text, pod=options, backend="kubernetes", grace_s=5.0, **fields)

        return make

    @pytest.fixture
    def until(self, launcher):
        """Wait until the Job is in one of the phases, and return how it was seen then."""

        async def wait(name, *phases, within_s=60, says=""):
            async with asyncio.timeout(within_s):
                while True:
                    seen = await launcher.find(name)
                    if seen.phase in phases and says in seen.reason:
                        return seen
                    await asyncio.sleep(0.1)

        return wait

    async def test_another_worker_finds_and_follows_from_the_cursor(self, launcher, make_spec, settings):
        spec = make_spec(
            "import time\nfor i in range(40):\n    print('line', i, flush=True)\n    time.sleep(0.1)"
        )
        name = f"{spec.key}-1"
        await launcher.start(spec, 1)
        first, place = b"", None
        async for seen in launcher.follow(name, 0):
            first, place = first + seen.output, seen
            if b"line 9\n" in first:
                break
        other = KubernetesLauncher(settings, storage_url=launcher._storage_url, owner=OWNER)
        try:
            second = b""
            async for seen in other.follow(name, place.position, place.cursor):
                second += seen.output
        finally:
            await other.close()
        lines = [line for line in (first + second).splitlines() if line.startswith(b"line")]
        assert [f"line {i}".encode() for i in range(40)] == lines
        assert len(first + second) == seen.position

    async def test_a_suspended_jobs_pod_ends_gracefully_and_a_new_one_follows_it(
        self, launcher, make_spec, until, place
    ):
        spec = make_spec(
            "import time\ntry:\n    print('up', flush=True)\n    time.sleep(600)\n"
            "finally:\n    print('tidied', flush=True)"
        )
        name = f"{spec.key}-1"
        await launcher.start(spec, 1)
        await until_it_says(launcher, name, b"up\n")
        output = b""

        async def follow():
            nonlocal output
            async for seen in launcher.follow(name, 0):
                output += seen.output

        following = asyncio.create_task(follow())
        await launcher.suspend(name)
        phases = [pod.status.phase for pod in await asyncio.to_thread(place.pods, name)]
        assert {"Succeeded", "Failed"} >= set(phases)
        assert (await launcher.find(name)).phase is Phase.SUSPENDED
        await launcher.resume(name)
        await until(name, Phase.RUNNING)
        async with asyncio.timeout(60):
            while output.count(b"up\n") < 2:
                await asyncio.sleep(0.1)
        await launcher.stop(name, 5)
        await following
        assert 2 == output.count(b"tidied")

    async def test_the_deadline_of_a_job_that_runs_can_be_moved(self, launcher, make_spec):
        spec = make_spec(FOREVER, timeout_s=3600.0)
        await launcher.start(spec, 1)
        await launcher.allow(f"{spec.key}-1", 1 - deadline_s(0))
        _, end = await followed(launcher, f"{spec.key}-1")
        assert end.phase in (Phase.FAILED, Phase.INTERRUPTED), "by itself it would not end"

    async def test_running_out_of_memory_is_said_and_not_tried_again(self, launcher, make_spec):
        spec = make_spec(
            "rows = []\nwhile True:\n    rows.append(bytearray(8 << 20))", resources=Resources(memory="300Mi")
        )
        await launcher.start(spec, 1)
        _, end = await followed(launcher, f"{spec.key}-1")
        assert end.phase is Phase.FAILED
        assert "ran out of memory (OOMKilled) at its limit of 300Mi" in end.reason
        assert "Next step: give it more" in end.reason

    async def test_an_image_that_does_not_exist_fails_fast(self, launcher, make_spec, until):
        spec = make_spec("", pod=PodOptions(image="no-such/image:1"))
        began = time.monotonic()
        await launcher.start(spec, 1)
        seen = await until(f"{spec.key}-1", Phase.QUEUED, Phase.FAILED, says="no-such/image:1")
        assert "pulled" in seen.reason
        assert time.monotonic() - began < 30

    async def test_what_no_node_has_is_named_while_it_waits(self, launcher, make_spec, until):
        spec = make_spec("", resources=Resources(cpu=512))
        await launcher.start(spec, 1)
        seen = await until(f"{spec.key}-1", Phase.QUEUED, says="no node has enough cpu free")
        assert "Insufficient cpu" in seen.reason

    async def test_an_evicted_pod_is_worth_another_attempt(self, launcher, running, place):
        from kubernetes.client import V1Eviction, V1ObjectMeta

        pod = (await asyncio.to_thread(place.pods, running))[0].metadata.name
        eviction = V1Eviction(metadata=V1ObjectMeta(name=pod))
        await asyncio.to_thread(place.core.create_namespaced_pod_eviction, pod, place.namespace, eviction)
        _, end = await followed(launcher, running)
        assert end.phase is Phase.INTERRUPTED
        assert "evicted" in end.reason

    async def test_a_deleted_pod_is_worth_another_attempt(self, launcher, running, place):
        pod = (await asyncio.to_thread(place.pods, running))[0].metadata.name
        await asyncio.to_thread(place.core.delete_namespaced_pod, pod, place.namespace)
        _, end = await followed(launcher, running)
        assert end.phase is Phase.INTERRUPTED
        assert "deleted" in end.reason

    async def test_a_deleted_job_is_worth_another_attempt(self, launcher, running, place):
        following = asyncio.create_task(followed(launcher, running))
        await asyncio.sleep(0)
        await asyncio.to_thread(
            place.batch.delete_namespaced_job, running, place.namespace, propagation_policy="Background"
        )
        _, end = await following
        assert end.phase is Phase.INTERRUPTED
        assert "deleted" in end.reason

    async def test_ranks_find_each_other_and_each_has_its_own_output(self, launcher, make_spec, place):
        spec = make_spec(
            "import os, socket, time\n"
            "rank, world = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])\n"
            "address = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])\n"
            "if rank == 0:\n"
            "    server = socket.create_server(('', address[1]))\n"
            "    peers = [server.accept()[0] for _ in range(world - 1)]\n"
            "    print('met', [peer.recv(9).decode() for peer in peers])\n"
            "else:\n"
            "    for _ in range(200):\n"
            "        try:\n"
            "            peer = socket.create_connection(address, timeout=5)\n"
            "            break\n"
            "        except OSError:\n"
            "            time.sleep(0.2)\n"
            "    peer.send(f'rank {rank}'.encode())\n"
            "    print('I am', rank)\n",
            pod=PodOptions(nodes=2),
        )
        name = f"{spec.key}-1"
        await launcher.start(spec, 1)
        (first, end), (second, _) = await asyncio.gather(
            followed(launcher, name), _followed_rank(launcher, name, 1)
        )
        assert end.phase is Phase.SUCCEEDED, (first + second).decode()
        assert b"met ['rank 1']\n" in first
        assert b"I am 1\n" in second
        assert [name] == (await asyncio.to_thread(place.left))["services"]

    async def test_one_rank_that_fails_fails_the_attempt(self, launcher, make_spec):
        spec = make_spec(
            "import os, time\nif os.environ['RANK'] == '1':\n    os._exit(3)\ntime.sleep(600)",
            pod=PodOptions(nodes=2),
        )
        await launcher.start(spec, 1)
        _, end = await followed(launcher, f"{spec.key}-1")
        assert (Phase.FAILED, 3) == (end.phase, end.exit_code)

    async def test_secrets_become_variables_and_files(self, launcher, make_spec, place):
        name = f"keys-{time.time_ns()}"
        await asyncio.to_thread(place.create_secret, name, {"TOKEN": "swordfish"})
        spec = make_spec(
            "import os\n"
            "print('known', os.environ['TOKEN'] == open(os.environ['TOKEN_FILE']).read() == 'swordfish')",
            env={"TOKEN_FILE": "/var/run/keys/TOKEN"},
            pod=PodOptions(secrets=(SecretRef(name=name), SecretRef(name=name, mount_path="/var/run/keys"))),
        )
        await launcher.start(spec, 1)
        output, _ = await followed(launcher, f"{spec.key}-1")
        assert b"known True\n" in output

    async def test_a_job_of_this_name_that_is_not_ours_is_left_alone(self, launcher, make_spec, settings):
        spec = make_spec(FOREVER)
        other = KubernetesLauncher(settings, storage_url=launcher._storage_url, owner="somebodyelse")
        await other.start(spec, 1)
        try:
            with pytest.raises(InvalidRequest, match="that is not ours"):
                await launcher.start(spec, 1)
            assert [] == await launcher.names()
            await launcher.stop(f"{spec.key}-1", 0)
            assert await launcher.find(f"{spec.key}-1") is None
            assert (await other.find(f"{spec.key}-1")).phase is not Phase.INTERRUPTED
        finally:
            await other.stop(f"{spec.key}-1", 0)
            await other.delete(f"{spec.key}-1")
            await other.close()

    async def test_a_rehearsal_checks_and_creates_nothing(self, launcher, make_spec, place):
        assert place.namespace in await launcher.rehearse(make_spec(""))
        bad = make_spec(
            "", pod=PodOptions(template={"spec": {"volumes": [{"name": "Not_A_Name", "emptyDir": {}}]}})
        )
        with pytest.raises(InvalidRequest, match="the cluster refuses"):
            await launcher.rehearse(bad)
        assert {} == await asyncio.to_thread(place.left)

    async def test_no_such_namespace_is_said_before_anything_is_created(self, place, make_spec, settings):
        lost = KubernetesLauncher(
            replace(settings, namespace="no-such-namespace"), storage_url=place.storage_url, owner=OWNER
        )
        with pytest.raises(InvalidRequest, match="no namespace 'no-such-namespace'"):
            await lost.start(make_spec(""), 1)
        await lost.close()


async def _followed_rank(launcher, name, rank):
    output = b""
    async for seen in launcher.follow(name, 0, "", rank):
        output += seen.output
    return output, seen


class TestOnTheStandIn(KubernetesContract):
    @pytest.fixture
    def place(self, standin_place: Place, s3, monkeypatch) -> Place:  # noqa: F811
        for name, value in s3.environ().items():
            monkeypatch.setenv(name, value)
        return standin_place


@pytest.mark.cluster
@pytest.mark.timeout(300)
class TestOnARealCluster(KubernetesContract):
    @pytest.fixture
    def place(self, real_cluster: Place) -> Place:  # noqa: F811
        return real_cluster

    test_what_a_process_left_running_ends_with_it = None  # a container ends with its first process

    async def test_a_misspelt_field_of_the_template_is_refused(self, launcher, make_spec):
        bad = make_spec("", pod=PodOptions(template={"spec": {"hostAliasses": []}}))
        with pytest.raises(InvalidRequest, match="hostAliasses"):
            await launcher.rehearse(bad)

    async def test_a_killed_process_was_interrupted(self, launcher, make_spec):
        spec = make_spec("import ctypes; ctypes.string_at(0)")  # the first process cannot kill itself
        await launcher.start(spec, 1)
        _, end = await followed(launcher, f"{spec.key}-1")
        assert (Phase.INTERRUPTED, -11) == (end.phase, end.exit_code)
        assert "SIGSEGV" in end.reason
