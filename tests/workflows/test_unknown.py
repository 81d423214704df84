"""What Temporal does not know is told as such, not as a Temporal that does not answer."""

import pytest
from temporalio.client import Client

from mltemporal import owner
from mltemporal.deployments.calls import Deployment, Routing
from mltemporal.deployments.replaying import recent, replay_job
from mltemporal.errors import InvalidRequest, NotFound, ServiceUnavailable
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
