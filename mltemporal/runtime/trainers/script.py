"""A script, run as ``python script.py`` would run it, from the text that was launched."""

from __future__ import annotations

import linecache
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from mltemporal.code.restoring import restore
from mltemporal.dataset.loading import local_path
from mltemporal.errors import InvalidTrainer
from mltemporal.runtime import control, reporting
from mltemporal.runtime.artifacts import log_artifact
from mltemporal.runtime.context import Job
from mltemporal.runtime.stopping import run_users_code
from mltemporal.runtime.trainers import Trained
from mltemporal.specs.encoding import encode


def train(job: Job) -> Trained:
    """Run the script; the files in its ``MLTEMPORAL_OUTPUT_DIR`` become artifacts.

    It finds its table in ``MLTEMPORAL_DATASET`` (a local path or URI) and its parameters in
    ``MLTEMPORAL_PARAMS`` (JSON) as well as among its arguments.
    """
    reporting.stage("loading the code")
    trainer = job.spec.trainer
    if trainer.code is None or trainer.path is None:
        raise InvalidTrainer("the script's text was not stored", "launch the job again")
    source = restore(trainer, job.storage)
    reporting.stage("loading the dataset")
    # The attempt's own folder, where the launcher gives one: it goes with the attempt, however that ends.
    scratch = os.environ.get("MLTEMPORAL_SCRATCH")
    with (
        local_path(job.spec.dataset, job.storage, scratch=scratch) as table,
        tempfile.TemporaryDirectory(prefix="mltemporal-output-", dir=scratch) as output,
    ):
        os.environ["MLTEMPORAL_DATASET"] = table
        known = [name for name in trainer.params if name.isidentifier()]
        given = control.listen(job, control.ALL, values=trainer.params, known=known)
        os.environ["MLTEMPORAL_PARAMS"] = encode(trainer.params | given)
        os.environ["MLTEMPORAL_OUTPUT_DIR"] = output
        reporting.stage("training")
        run_users_code(lambda: _run(source, str(trainer.path), trainer.args))
        for file in sorted(Path(output).rglob("*")):
            if file.is_file():
                log_artifact(file, name=str(file.relative_to(output)))
    return Trained()


def _run(source: bytes, path: str, args: tuple[str, ...]) -> None:
    main = ModuleType("__main__")
    main.__file__ = path
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main  # so that the script's own classes can be pickled
    sys.argv = [path, *args]
    sys.path[0] = os.path.dirname(path)
    text = source.decode("utf-8", errors="replace")
    linecache.cache[path] = (
        len(text),
        None,
        text.splitlines(keepends=True),
        path,
    )  # the file may have changed
    exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)  # noqa: S102 - the user's own script
