"""Jobs are found by search attributes where Temporal knows them, and start without where it does not."""

import asyncio
import uuid
from types import SimpleNamespace

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mltemporal import owner
from mltemporal.stack import search_attributes


@pytest.fixture
async def client(server, monkeypatch):
    """A client of a namespace of its own, in which nothing is registered."""
    from google.protobuf.duration_pb2 import Duration
    from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

    monkeypatch.setattr(search_attributes, "_refused_at", {})
    namespace = f"found-{uuid.uuid4().hex[:8]}"
    retention = Duration(seconds=86_400)
    await server.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=retention)
    )
    found = await Client.connect(server.client.service_client.config.target_host, namespace=namespace)
    await until(lambda: found.count_workflows(""))
    return found


async def until(ask):
    """Wait until Temporal does what it is asked: it takes seconds to know what is new."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    raise
            await asyncio.sleep(0.2)


def job(number: int):
    """What a start looks at of a job's row."""
    spec = SimpleNamespace(backend="kubernetes", timeout_s=60.0, trainer=SimpleNamespace(kind="function"))
    return SimpleNamespace(
        id=number,
        workflow_id=f"training-{uuid.uuid4().hex[:12]}",
        kind="training",
        spec=spec,
        name="churn of Ann",
        created_by="ann@laptop",
    )


async def test_a_job_starts_with_and_without_them(client) -> None:
    async def client_() -> Client:
        return client

    session = SimpleNamespace(client=client_, task_queue=lambda backend: "nobody")
    first, second = job(1), job(2)
    await owner.start(session, first)
    told = await client.get_workflow_handle(first.workflow_id).describe()
    assert [] == list(told.typed_search_attributes)
    assert search_attributes.of(client, second) is None, "the refusal is remembered"

    assert "" == await search_attributes.register(client)
    assert "" == await search_attributes.register(client), "it is idempotent"
    await until(lambda: client.count_workflows('MltemporalBackend = "kubernetes"'))
    search_attributes._refused_at.clear()
    await owner.start(session, second)
    told = await client.get_workflow_handle(second.workflow_id).describe()
    found = {pair.key.name: pair.value for pair in told.typed_search_attributes}
    assert {"MltemporalJob": 2, "MltemporalKind": "training", "MltemporalBackend": "kubernetes"} == found
    assert search_attributes.NAMES.keys() == found.keys()


async def test_a_temporal_that_allows_nothing_is_done_without() -> None:
    async def denied(*_, **__):
        raise RPCError("no rights", RPCStatusCode.PERMISSION_DENIED, b"")

    operator = SimpleNamespace(list_search_attributes=denied, add_search_attributes=denied)
    limited = SimpleNamespace(operator_service=operator, namespace="default")
    assert "no rights" == await search_attributes.register(limited)
