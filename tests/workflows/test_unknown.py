"""What Temporal does not know is told as such, not as a Temporal that does not answer."""

import pytest
from temporalio.client import Client

from mltemporal import owner
from mltemporal.deployments.calls import Deployment, Routing
from mltemporal.deployments.replaying import recent, replay_job
from mltemporal.errors import InvalidRequest, NotFound, ServiceUnavailable, StackError
from mltemporal.monitoring.surroundings import WorkersSession


async def test_a_workflow_that_temporal_does_not_know_has_no_history_to_replay(world):
    here = WorkersSession(world.settings, world.client, world.database, {})
    with pytest.raises(NotFound, match="Temporal has no history of 'training-ffffffffffff'"):
        await replay_job(here, "training-ffffffffffff")


async def test_a_deployment_that_temporal_does_not_know_is_empty(world):
    unknown = Deployment(world.client, "no-such-queue")
    assert await unknown.routing() == Routing()
    assert await unknown.versions() == []
    assert await unknown.delete("1.0-abcdef") == ""


async def test_a_namespace_that_is_not_there_is_an_error(world):
    config = world.client.config()
    elsewhere = Client(**{**config, "namespace": "no-such-namespace", "plugins": []})
    with pytest.raises(ServiceUnavailable, match="Temporal does not answer: .*no-such-namespace"):
        await recent(elsewhere, ["a-queue"])


async def test_a_command_for_a_job_of_another_temporal_says_which_one_was_asked(world):
    row = world.record("")
    (world.settings.home / "launch" / f"{row.key}.json").unlink()
    world.database.jobs.start_attempt(row.id, 1)
    here = WorkersSession(world.settings, world.client, world.database, {})
    address = world.client.service_client.config.target_host
    asked = f"its workflow does not run in the Temporal at {address}, namespace 'default'"
    with pytest.raises(InvalidRequest, match="cannot pause a job that is queued") as refused:
        await owner.command(here, row.id, "pause")
    assert refused.value.next_step.startswith(asked)


async def test_a_cancel_without_a_way_to_temporal_is_not_told_as_given(world):
    class Cut(WorkersSession):
        async def client(self):
            raise StackError("no stack runs in the home", "run `mltemporal up`")

    row = world.record("")
    with pytest.raises(StackError):
        await owner.cancel(Cut(world.settings, world.client, world.database, {}), row.id)
    assert [] == world.commands(row)
    (world.settings.home / "launch" / f"{row.key}.json").unlink()


async def test_a_cancel_that_temporal_did_not_answer_says_so(world, monkeypatch):
    async def unanswered(*_):
        raise ServiceUnavailable("Temporal does not answer: deadline", "run `mltemporal doctor`")

    row = world.record("")
    monkeypatch.setattr(owner, "_cancelled", unanswered)
    with pytest.raises(ServiceUnavailable):
        await owner.cancel(WorkersSession(world.settings, world.client, world.database, {}), row.id)
    told = [what for what, _ in world.commands(row)]
    assert ["cancel", "cancel may not have arrived: Temporal does not answer: deadline"] == told
    (world.settings.home / "launch" / f"{row.key}.json").unlink()
