"""Which job a request becomes: one like it that is alive, or a new one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mltemporal.database.inserting import insert_new
from mltemporal.database.tables import jobs


def find_or_insert(connection: sa.Connection, values: dict[str, Any], *, force: bool) -> tuple[int, bool]:
    """Return the job's id, and whether it is new."""
    of_key = sa.select(jobs.c.id).where(jobs.c.key == values["key"])
    live = sa.select(jobs.c.id).where(jobs.c.live_fingerprint == values["fingerprint"])
    while True:
        mine: int | None = connection.scalar(of_key)
        if mine is not None:  # this call is made again, after its commit went unanswered
            return mine, True
        like_it: int | None = connection.scalar(live)
        if like_it is not None and not force:
            # Held until the transaction ends: it is not withdrawn while somebody attaches to it.
            held = connection.scalar(sa.select(jobs.c.id).where(jobs.c.id == like_it).with_for_update())
            if held is None:
                continue
            return like_it, False
        values["live_fingerprint"] = values["fingerprint"] if like_it is None else None
        if insert_new(connection, jobs, values):
            return connection.scalars(of_key).one(), True
        # Its like was recorded between the statements: look again.
