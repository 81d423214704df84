"""Rounds of the monitor are recorded once, and kept for a week."""

from mltemporal.database.engine import Database
from mltemporal.database.health import KEPT_S
from mltemporal.specs.health import HealthCheck, HealthState


def check(part: str, state: HealthState = HealthState.OK, detail: str = "fine") -> HealthCheck:
    return HealthCheck(part=part, state=state, latency_ms=1.5, detail=detail, next_step="")


def test_a_round_is_recorded_once_and_what_it_said_first_stands(database: Database) -> None:
    database.health.record("monitor-a/1", [check("disk"), check("storage")], at=10.0)
    database.health.record("monitor-a/1", [check("disk", HealthState.PROBLEM)], at=11.0)
    (found,) = database.health.since("monitor-a", 0.0)
    assert ("monitor-a/1", 10.0) == (found.id, found.time)
    assert (check("disk"), check("storage")) == found.checks


def test_a_round_may_be_recorded_in_pieces(database: Database) -> None:
    database.health.record("monitor-a/1", [check("disk")], at=10.0)
    database.health.record("monitor-a/1", [check("mending")], at=12.0)
    newest = database.health.newest("monitor-a")
    assert newest is not None
    assert ["disk", "mending"] == [each.part for each in newest.checks]


def test_each_monitor_has_its_own_newest_round(database: Database) -> None:
    assert database.health.newest("monitor-a") is None
    database.health.record("monitor-a/1", [check("disk")], at=10.0)
    database.health.record("monitor-a/2", [check("disk")], at=20.0)
    database.health.record("monitor-a_/3", [check("disk")], at=30.0)
    database.health.record("monitor-a-b/4", [check("disk")], at=40.0)
    assert "monitor-a/2" == database.health.newest("monitor-a").id
    assert "monitor-a/1" == database.health.newest("monitor-a", other_than="monitor-a/2").id
    assert ["monitor-a/2"] == [each.id for each in database.health.since("monitor-a", 15.0)]


def test_rounds_older_than_a_week_are_removed(database: Database) -> None:
    database.health.record("monitor-a/1", [check("disk")], at=10.0)
    database.health.record("monitor-a/2", [check("disk")], at=10.0 + KEPT_S + 1)
    assert ["monitor-a/2"] == [each.id for each in database.health.since("monitor-a", 0.0)]
