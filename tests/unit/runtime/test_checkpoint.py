import threading

import numpy as np
import pytest

from mltemporal.runtime import checkpoint, context
from mltemporal.runtime.checkpoint import Checkpoint
from mltemporal.runtime.context import Job
from mltemporal.storage.content import Storage


def entries(storage: Storage) -> list[Checkpoint]:
    return storage.get_note("job-1", "checkpoints", list[Checkpoint]) or []


def test_outside_a_job_the_last_object_is_kept_in_memory_and_that_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert checkpoint.load() is None
    checkpoint.save({"epoch": 1})
    checkpoint.save({"epoch": 2})

    assert {"epoch": 2} == checkpoint.load()
    assert "mltemporal: no job runs here, so checkpoints are kept in memory only\n" == capsys.readouterr().out


def test_a_later_attempt_loads_what_was_saved_last(job: Job, storage: Storage) -> None:
    assert checkpoint.load() is None
    checkpoint.save({"weights": np.arange(3)}, step=1)
    checkpoint.save({"weights": np.arange(4)}, step=2)
    context.enter(Job(storage, job.key, 2))

    assert [0, 1, 2, 3] == checkpoint.load()["weights"].tolist()
    assert [(1, 1), (2, 1)] == [(entry.step, entry.attempt) for entry in entries(storage)]


def test_only_the_last_few_are_kept_and_the_others_leave_no_bytes(job: Job, storage: Storage) -> None:
    for step in range(6):
        checkpoint.save("the same each time", step=step)

    kept = entries(storage)
    assert [3, 4, 5] == [entry.step for entry in kept]
    assert all(storage.has(entry.object) for entry in kept)
    assert 3 + 1 == sum(path.is_file() for path in (storage_objects(storage)))  # and the dataset
    assert [] == storage.note_names(job.key, "saving")


def storage_objects(storage: Storage) -> list:  # type: ignore[type-arg]
    from pathlib import Path

    return list((Path(storage.url) / "objects").rglob("*"))


def test_a_damaged_checkpoint_is_left_out_and_the_one_before_it_is_loaded(
    job: Job, storage: Storage, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save("whole", step=1)
    checkpoint.save("damaged", step=2)
    damaged = entries(storage)[-1].object
    [path] = [path for path in storage_objects(storage) if path.name == damaged.sha256]
    path.write_bytes(b"no pickle")

    assert "whole" == checkpoint.load()
    assert "a checkpoint was left out" in capfd.readouterr().out


def test_an_object_that_cannot_be_stored_leaves_the_last_one(job: Job) -> None:
    checkpoint.save("good")

    with pytest.raises(TypeError, match="pickle"):
        checkpoint.save(threading.Lock())

    assert "good" == checkpoint.load()


def test_a_closure_can_be_saved(job: Job) -> None:
    factor = 3
    checkpoint.save(lambda x: factor * x)

    assert 6 == checkpoint.load()(2)
