"""PreprocessingWorkflow and InferenceWorkflow on a real server: how they end, and how long histories get."""

import asyncio
import uuid

import pandas as pd
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from mltemporal import steps
from mltemporal.database.jobs import JobRow
from mltemporal.dataset.checking import inspect
from mltemporal.launchers.local import KernelContext, LocalLauncher
from mltemporal.model_files import save_model
from mltemporal.preparation.checking import parse_steps
from mltemporal.specs.request import InferenceSpec, JobSpec, PreparationSpec, TrainerRef
from mltemporal.specs.running import JobStatus


class Doubling:
    """A model."""

    def __init__(self, pause_s: float = 0.0):
        self.pause_s = pause_s
        self.feature_names_in_ = ("a",)

    def predict(self, table):
        import time

        time.sleep(self.pause_s)
        return table["a"] * 2


WORKFLOWS = {"preprocessing": "PreprocessingWorkflow", "inference": "InferenceWorkflow"}


def table_of(world, rows, files=1):
    """Return the dataset of a table, in as many files as wanted."""
    folder = world.folder / uuid.uuid4().hex[:8]
    folder.mkdir()
    for number in range(files):
        ids = range(number * rows, (number + 1) * rows)
        part = pd.DataFrame({"id": ids, "a": [float(i) for i in ids]})
        part.to_parquet(folder / f"{number:05d}.parquet", index=False)
    return inspect(str(folder)).store(world.storage)


async def start(world, kind, dataset, **fields):
    spec = JobSpec(
        key=f"{kind}-{uuid.uuid4().hex[:12]}",
        name="a job",
        kind=kind,
        dataset=dataset,
        trainer=TrainerRef(kind="steps", label="steps"),
        **{"grace_s": 10.0, **fields},
    )
    world.storage.put_note(spec.key, "spec", spec)
    LocalLauncher(world.settings.home, world.settings.storage_url, 2).prepare(spec.key, KernelContext.here())
    row, _ = world.database.jobs.add(
        spec, fingerprint=uuid.uuid4().hex, dataset_id=world.database.datasets.add(dataset)
    )
    handle = await world.client.start_workflow(
        WORKFLOWS[kind],
        row.id,
        id=row.workflow_id,
        task_queue=f"mltemporal-{world.database.id}",
    )
    return row, handle


def scoring(world, pause_s=0.0):
    model = save_model(
        Doubling(pause_s), world.storage, label="Doubling", task=None, target=None, features=("a",)
    )
    return {"inference": InferenceSpec(model=model, keep=("id",))}


def preparing(world, dataset, *wanted):
    plan = parse_steps(wanted, columns=dataset.columns, target=None, test_size=None, seed=0)
    return {"preparation": PreparationSpec(plan=plan.store(world.storage), steps=plan.steps_in_words)}


def ended(world, row: JobRow) -> JobRow:
    return world.database.jobs.get(row.id)


async def what_happened(handle):
    """Return the number of events, without the server's rounds with the worker: they vary with the load."""
    names = [EventType.Name(event.event_type) for event in (await handle.fetch_history()).events]
    return len([name for name in names if "WORKFLOW_TASK" not in name])


async def until(reached):
    while not (found := await asyncio.to_thread(reached)):
        await asyncio.sleep(0.05)
    return found


async def test_a_preprocessing_registers_what_it_made(world):
    dataset = table_of(world, 50)
    async with world.worker():
        row, handle = await start(
            world, "preprocessing", dataset, **preparing(world, dataset, steps.filter("a < 40"))
        )
        result = await handle.result()
        await world.keep(handle, "success", "preprocessing")
    job = ended(world, row)
    assert (JobStatus.SUCCEEDED, {"rows_in": 50.0, "rows_out": 40.0}) == (job.status, job.result.metrics)
    assert result["dataset_ids"] == job.result.dataset_ids
    made = world.database.datasets.get(job.result.dataset_ids["dataset"])
    assert (40, (dataset.fingerprint,), row.id) == (made.ref.rows, made.facts.sources, made.facts.made_by)


async def test_a_preprocessing_whose_steps_fail_says_so(world):
    def broken(table):
        raise ValueError("the sheep are odd")

    dataset = table_of(world, 50)
    async with world.worker():
        row, handle = await start(
            world, "preprocessing", dataset, **preparing(world, dataset, broken), retries=0
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "failure", "preprocessing")
    job = ended(world, row)
    assert job.status is JobStatus.FAILED
    assert "ValueError: the sheep are odd" in job.error


async def test_an_inference_scores_every_row_and_can_be_cancelled(world):
    async with world.worker():
        row, handle = await start(world, "inference", table_of(world, 50), **scoring(world))
        slow, cancelled = await start(
            world, "inference", table_of(world, 50, files=40), **scoring(world, pause_s=0.2)
        )
        await handle.result()
        await world.keep(handle, "success", "inference")
        await until(lambda: world.database.progress.last_point(slow.id, 1))
        await cancelled.cancel()
        with pytest.raises(WorkflowFailureError):
            await cancelled.result()
        await world.keep(cancelled, "cancel", "inference")
    assert (JobStatus.SUCCEEDED, 50) == (ended(world, row).status, ended(world, row).result.rows)
    assert JobStatus.CANCELLED is ended(world, slow).status


async def test_a_history_is_as_long_for_a_thousand_shards_as_for_one(world):
    async with world.worker():
        _, few = await start(world, "inference", table_of(world, 5), **scoring(world))
        many_row, many = await start(world, "inference", table_of(world, 5, files=1000), **scoring(world))
        await asyncio.gather(few.result(), many.result())
        lengths = [await what_happened(handle) for handle in (few, many)]
    assert lengths[0] == lengths[1]
    assert 5000 == ended(world, many_row).result.rows
