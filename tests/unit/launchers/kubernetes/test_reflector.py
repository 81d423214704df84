"""The copy of the cluster's objects stays right whatever happens to the watch."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest

from mltemporal.launchers.kubernetes import reflector as module
from mltemporal.launchers.kubernetes.api import Api
from mltemporal.launchers.kubernetes.reflector import Reflector
from mltemporal.settings import ClusterSettings


@pytest.fixture
async def api(standin, monkeypatch):
    """A client in a namespace of its own."""
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.05)
    name = f"watched-{uuid.uuid4().hex[:8]}"
    standin.create_namespace(name)
    api = await Api.open(ClusterSettings(namespace=name))
    yield api
    await api.close()


@pytest.fixture
def create(api):
    async def make(name: str, **labels: str):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}
        return await api.create(api.path("configmaps"), body)

    return make


@asynccontextmanager
async def watching(api: Api, **selectors: str):
    """A reflector that runs, and the names that it was told of."""
    told: list[str] = []
    kept = Reflector(api, "configmaps", lambda item: told.append(item["metadata"]["name"]), **selectors)
    task = asyncio.create_task(kept.run())
    try:
        await asyncio.wait_for(kept.heard.wait(), 10)
        yield kept, told
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(reached) -> None:
    async with asyncio.timeout(15):
        while not reached():
            await asyncio.sleep(0.01)


async def test_what_is_there_and_what_comes_and_goes_is_known(api, create, monkeypatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(5):
        await create(f"old-{number}")
    async with watching(api) as (kept, told):
        assert kept.synced
        assert {f"old-{number}" for number in range(5)} == kept.objects.keys() == set(told)
        await create("new")
        await until(lambda: "new" in kept.objects)
        await api.patch(api.path("configmaps", "new"), {"data": {"a": "1"}})
        await until(lambda: kept.objects["new"].get("data") == {"a": "1"})
        told.clear()
        await api.delete(api.path("configmaps", "new"))
        await until(lambda: "new" not in kept.objects)
        assert ["new"] == told


async def test_only_what_is_selected_is_kept(api, create) -> None:
    await create("ours", owner="me")
    await create("theirs", owner="you")
    async with watching(api, label_selector="owner=me") as (kept, _):
        await create("ours-too", owner="me")
        await until(lambda: "ours-too" in kept.objects)
        assert {"ours", "ours-too"} == kept.objects.keys()


async def test_a_cut_connection_is_made_again_where_it_was(standin, api, create) -> None:
    async with watching(api) as (kept, _):
        await create("before")
        await until(lambda: "before" in kept.objects)
        listed = standin.request_counts["list", "configmaps"]
        standin.drop_connections()
        await create("after")
        await until(lambda: "after" in kept.objects)
        assert listed == standin.request_counts["list", "configmaps"], "nothing was listed again"
        await until(lambda: kept.trouble is None)


async def test_a_version_that_is_too_old_means_listing_again(standin, api, create) -> None:
    await create("stays")
    await create("goes")
    async with watching(api) as (kept, told):
        task_version = kept._version
        told.clear()
        kept._version = "1"
        standin.compact()
        await api.delete(api.path("configmaps", "goes"))
        standin.drop_connections()
        await until(lambda: "goes" not in kept.objects and kept._version != "1")
        assert int(kept._version) > int(task_version)
        assert {"stays"} == kept.objects.keys()
        assert "goes" in told, "what went while nobody looked is told too"


async def test_a_server_that_is_away_is_said_and_found_again(standin, api, create) -> None:
    await create("kept")
    async with watching(api) as (kept, told):
        seen = []
        waiting = asyncio.create_task(until(lambda: kept.trouble and seen.append(kept.trouble.what) is None))
        told.clear()
        await asyncio.to_thread(standin.restart, 0.3)
        await waiting
        assert f"the cluster at '{api.server}' does not answer" in seen[0]
        await until(lambda: kept.trouble is None)
        assert "kept" in told, "who shows it hears that it may be old, and that it is not"
        assert {"kept"} == kept.objects.keys()
        await create("new")
        await until(lambda: "new" in kept.objects)


async def test_a_busy_server_is_asked_again(standin, api, create) -> None:
    await create("kept")
    standin.fail_next(3, 503)
    async with watching(api) as (kept, _):
        assert "the cluster is busy or ill" in kept.trouble.what
        await until(lambda: kept.synced)
        assert {"kept"} == kept.objects.keys()


async def test_a_verb_that_is_not_allowed_is_said_and_tried_again(standin, api) -> None:
    standin.forbid("watch", "configmaps", api.namespace)
    try:
        async with watching(api) as (kept, _):
            await until(lambda: kept.trouble)
            assert "the cluster does not allow it" in kept.trouble.what
            assert 'cannot watch resource "configmaps"' in kept.trouble.what
            standin.allow("watch", "configmaps", api.namespace)
            await until(lambda: kept.trouble is None)
    finally:
        standin.allow("watch", "configmaps", api.namespace)


async def test_an_answer_is_taken_only_if_it_is_newer(api, create) -> None:
    old = await create("one")
    async with watching(api) as (kept, _):
        new = await api.patch(api.path("configmaps", "one"), {"data": {"a": "1"}})
        await until(lambda: kept.objects["one"].get("data"))
        kept.put(old)
        assert {"a": "1"} == kept.objects["one"]["data"]
        ahead = {**new, "metadata": {**new["metadata"], "resourceVersion": str(10**9)}, "data": {"a": "2"}}
        kept.put(ahead)
        assert {"a": "2"} == kept.objects["one"]["data"]


async def test_an_answer_that_is_none_of_an_api_server_is_told_and_got_over(api, create, monkeypatch) -> None:
    """A proxy's page without a list in it, and a line of a watch that was cut off."""
    await create("there")
    real_get, real_stream = api.get, api.stream
    answers = [{"metadata": {}}, {"kind": "Status"}]

    async def page(path: str, **query: object) -> object:
        return answers.pop() if answers else await real_get(path, **query)

    cut = [b'{"type": "ADDED", "obj']

    @asynccontextmanager
    async def stream(path: str, **query: object):
        if not cut:
            async with real_stream(path, **query) as lines:
                yield lines
            return

        async def lines():
            yield cut.pop()

        yield lines()

    monkeypatch.setattr(api, "get", page)
    monkeypatch.setattr(api, "stream", stream)
    async with watching(api) as (kept, _):
        assert kept.trouble is not None
        assert "is not a Kubernetes API's answer: KeyError" in kept.trouble.what
        await until(lambda: not cut and not kept.trouble and "there" in kept.objects)
        await create("later")
        await until(lambda: "later" in kept.objects)
