"""``mltemporal demo``: the first tutorial, run without a browser, in this very environment."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltemporal import stack
from mltemporal.cli.runs import describe
from mltemporal.errors import MLTemporalError, NotFound
from mltemporal.settings import Settings, process_settings

if TYPE_CHECKING:
    from mltemporal.database.jobs import JobRow

TUTORIAL = "01_first_training.ipynb"
_CELL_TIMEOUT_S = 900


def demo() -> int:
    """Start the stack, run the tutorial, show what came out of it and where to look."""
    import nbformat

    settings = process_settings()
    source = find_tutorial()
    started = time.time()
    running = stack.up(settings)
    print(f"the stack of {running.home} is up: Temporal at {running.temporal_address}")
    executed = settings.home / "demo" / TUTORIAL
    executed.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(source, as_version=4)
    try:
        _execute(notebook, executed.parent)
    finally:
        notebook.metadata.pop("widgets", None)
        nbformat.write(notebook, executed)
    jobs = _jobs_since(settings, started)
    if not jobs:
        raise MLTemporalError("the tutorial ran, but no job of it is recorded", "run `mltemporal doctor`")
    for job in jobs:
        number, name, status, _, duration, metrics = describe(job, time.time())
        print(f"\nrun {number} {name!r} {status} in {duration}: {metrics}".rstrip(": "))
    print(f"\nit took {time.time() - started:.0f} s in all; look at")
    print(f"  the notebook with its pictures   {executed}")
    print(f"  the notebook to try yourself     {source}")
    print(f"  the workflow's history           {running.web_ui or running.temporal_address}")
    print("  all runs                         mltemporal runs")
    return 0 if all(job.status == "succeeded" for job in jobs) else 1


def find_tutorial() -> Path:
    """Return the tutorial of the clone that this package runs from, else the one that the wheel brought.

    Raises:
        NotFound: there is neither.
    """
    package = Path(__file__).parent.parent
    for folder in (package.parent / "notebooks", package / "_notebooks"):
        if (folder / TUTORIAL).exists():
            return folder / TUTORIAL
    raise NotFound(f"this installation has no {TUTORIAL!r}", "run `pip install --force-reinstall mltemporal`")


def _execute(notebook: Any, folder: Path) -> None:
    """Run the notebook's cells with this Python, whatever kernels Jupyter knows."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    class ThisPython(AsyncKernelManager):
        kernel_spec = KernelSpec(**get_kernel_dict())

    cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def say(cell: Any, cell_index: int) -> None:
        if cell_index in cells:
            first_line = next(iter(cell.source.strip().splitlines()), "")
            print(f"  cell {cells.index(cell_index) + 1} of {len(cells)}: {first_line}", flush=True)

    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        timeout=_CELL_TIMEOUT_S,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings are not about the tutorial
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=say,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error.traceback, file=sys.stderr)
        raise MLTemporalError(
            f"a cell of the tutorial failed: {error.ename}: {error.evalue}",
            f"look at {str(folder / TUTORIAL)!r}, then run `mltemporal doctor`",
        ) from error


def _jobs_since(settings: Settings, started: float) -> list[JobRow]:
    from mltemporal.database.engine import Database

    database = Database.open(settings.database_url)
    try:
        return [job for job in reversed(database.jobs.find(limit=20)) if job.created_at >= started]
    finally:
        database.close()
