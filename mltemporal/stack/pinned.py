"""Jobs that end on the build that they began on: their worker must not be taken away."""

from __future__ import annotations

from mltemporal.errors import VersionMismatch
from mltemporal.settings import Settings
from mltemporal.stack.asking import within
from mltemporal.stack.record import StackState


def check_nothing_pinned(settings: Settings, older: StackState) -> None:
    """Raise while anything runs on the build of an older stack.

    Raises:
        VersionMismatch: something does.
        ServiceUnavailable: Temporal does not answer.
    """

    async def ask() -> int:
        from mltemporal.database.engine import Database
        from mltemporal.deployments.calls import Deployment, deployment_name
        from mltemporal.stack.connection import connect
        from mltemporal.stack.overview import task_queue

        database = Database.open(settings.database_url)
        try:
            queue = task_queue(settings, database, "local")
        finally:
            database.close()
        return await Deployment(await connect(settings), deployment_name(queue)).running(older.build)

    if count := within(ask):
        raise VersionMismatch(
            f"{count} workflows run on build {older.build} of the stack of {older.home!r}, and "
            "MLTEMPORAL_VERSIONING=pinned lets them end there",
            "run `mltemporal versions deploy` and `mltemporal versions promote` for new jobs, and "
            "`mltemporal up` when `mltemporal versions` shows the old build drained",
        )
