"""Rounds of the monitor: what each check found, kept for a week."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltemporal.database.inserting import insert_new
from mltemporal.database.retrying import retried
from mltemporal.database.tables import health
from mltemporal.specs.health import HealthCheck, HealthState

if TYPE_CHECKING:
    from mltemporal.database.engine import Database

KEPT_S = 7 * 86_400
"""How long rounds are kept."""


@dataclass(frozen=True, kw_only=True)
class HealthRound:
    """One round of one monitor."""

    id: str
    """``<monitor>/<run>``."""
    time: float
    """Seconds since the epoch."""
    checks: tuple[HealthCheck, ...]
    """In the order in which they were recorded."""


class Health:
    """The ``health`` table. A round's id opens with its monitor's: several may share a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def record(self, round_id: str, checks: Sequence[HealthCheck], *, at: float | None = None) -> None:
        """Record checks of a round. Idempotent: what a round said first of a part stands.

        Args:
            round_id: ``<monitor>/<run>``, at most 128 characters.
            at: the round's time, by default now; rounds that are over a week older are removed.
        """
        now = time.time() if at is None else at
        with self._database.writing() as connection:
            for check in checks:
                insert_new(connection, health, {"round": round_id, "time": now, **vars(check)})
            connection.execute(sa.delete(health).where(health.c.time < now - KEPT_S))

    @retried
    def newest(self, monitor: str, *, other_than: str = "") -> HealthRound | None:
        """Return the monitor's newest round (``other_than`` one); None where there is none."""
        found = (
            sa.select(health.c.round)
            .where(_of(monitor), health.c.round != other_than)
            .order_by(health.c.time.desc(), health.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            round_id = connection.scalar(found)
            if round_id is None:
                return None
            query = sa.select(health).where(health.c.round == round_id).order_by(health.c.id)
            return _rounds(connection.execute(query).mappings().all())[0]

    @retried
    def since(self, monitor: str, when: float) -> list[HealthRound]:
        """Return the monitor's rounds since ``when``, oldest first."""
        query = (
            sa.select(health).where(_of(monitor), health.c.time >= when).order_by(health.c.time, health.c.id)
        )
        with self._database.reading() as connection:
            return _rounds(connection.execute(query).mappings().all())


def _of(monitor: str) -> sa.ColumnElement[bool]:
    return health.c.round.startswith(f"{monitor}/", autoescape=True)


def _rounds(rows: Sequence[sa.RowMapping]) -> list[HealthRound]:
    found: dict[str, list[sa.RowMapping]] = {}
    for row in rows:
        found.setdefault(row["round"], []).append(row)
    return [
        HealthRound(id=name, time=rows[0]["time"], checks=tuple(map(_check, rows)))
        for name, rows in found.items()
    ]


def _check(row: sa.RowMapping) -> HealthCheck:
    return HealthCheck(
        part=row["part"],
        state=HealthState(row["state"]),
        latency_ms=row["latency_ms"],
        detail=row["detail"],
        next_step=row["next_step"],
    )
