"""A process is killed (-9) in the middle of saving a checkpoint: a whole one is loaded, and no other."""

import signal
from pathlib import Path

import cloudpickle
import pandas as pd
import pytest

from mltemporal.runtime.checkpoint import Checkpoint, discard_all
from mltemporal.storage.content import Storage

STEPS = 6
KILLED_AT = 3


def dying(moment):  # type: ignore[no-untyped-def]
    """Return a training whose first attempt is killed while it saves its third checkpoint."""

    def train(data, steps, killed_at):  # type: ignore[no-untyped-def]
        import os
        import signal

        from mltemporal import checkpoint
        from mltemporal.runtime import context
        from mltemporal.storage.folder import Folder

        move_in = Folder._move_in

        def die():  # type: ignore[no-untyped-def]
            os.kill(os.getpid(), signal.SIGKILL)

        def killed(self, source, name):  # type: ignore[no-untyped-def]
            if moment == "before the object" and name.startswith("objects/"):
                die()
            move_in(self, source, name)
            if name.startswith("objects/") and moment == "between object and note":
                die()
            if name.endswith("/checkpoints.json"):
                die()

        class Deadly:
            """Kills who writes it, when a part of the object is written."""

            def __reduce__(self):  # type: ignore[no-untyped-def]
                die()

        state = checkpoint.load() or {"step": 0, "began": []}
        state["began"].append(state["step"])
        while state["step"] < steps:
            state["step"] += 1
            written = {**state, "large": "x" * 200_000}
            if state["step"] == killed_at and context.current().attempt == 1:
                Folder._move_in = killed
                if moment == "while the object is written":
                    written["last"] = Deadly()
            checkpoint.save(written)
        return {"step": state["step"], "began": state["began"]}

    return train


@pytest.mark.parametrize(
    ("moment", "loaded"),
    [
        ("while the object is written", KILLED_AT - 1),
        ("before the object", KILLED_AT - 1),
        ("between object and note", KILLED_AT - 1),
        ("after the note", KILLED_AT),
    ],
)
def test_a_process_that_is_killed_while_it_saves_goes_on_at_a_whole_checkpoint(
    runner, moment, loaded
) -> None:  # type: ignore[no-untyped-def]
    trainer = runner.code("function", (dying(moment), {"steps": STEPS, "killed_at": KILLED_AT}))
    killed = runner.run(pd.DataFrame({"x": [1.0]}), trainer)
    assert -signal.SIGKILL == killed.exit_code, killed.log
    runner.start(2)
    run = runner.finish()
    assert run.output is not None, run.log
    assert {"step": STEPS, "began": [0, loaded]} == cloudpickle.loads(
        runner.storage.get_bytes(run.output.value)
    )
    assert "was left out" not in run.log
    entries = runner.storage.get_note("job-1", "checkpoints", list[Checkpoint])
    assert all(runner.storage.has(entry.object) for entry in entries)


def test_what_a_killed_save_left_goes_with_the_jobs_checkpoints(runner) -> None:  # type: ignore[no-untyped-def]
    trainer = runner.code(
        "function", (dying("between object and note"), {"steps": STEPS, "killed_at": KILLED_AT})
    )
    assert -signal.SIGKILL == runner.run(pd.DataFrame({"x": [1.0]}), trainer).exit_code
    noted = runner.storage.get_note("job-1", "checkpoints", list[Checkpoint])
    assert len(noted) + 1 == len(checkpoints_in(runner.storage))
    runner.start(2)
    runner.finish()
    assert 3 == discard_all(runner.storage, "job-1", attempts=1)
    assert [] == checkpoints_in(runner.storage)
    assert 0 == discard_all(runner.storage, "job-1", attempts=1)


def checkpoints_in(storage: Storage) -> list[Path]:
    """The objects that open with the job's key, which no other object does."""
    objects = (Path(storage.url) / "objects").rglob("*")
    return [path for path in objects if path.is_file() and b"job-1" in path.read_bytes()[:40]]
