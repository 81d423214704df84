"""What the doctor says of the builds that get new jobs."""

from types import SimpleNamespace

import pytest

from mltemporal.deployments.board import VersionBoard
from mltemporal.deployments.calls import Version
from mltemporal.deployments.rollout import Row
from mltemporal.errors import StackError
from mltemporal.stack import doctor_temporal

CURRENT = Version(build="0.2.0-bbbbbbbb", state="current", percentage=100.0)


def told(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> str:
    monkeypatch.setattr(doctor_temporal, "within", lambda _: VersionBoard(rows=rows, time=0.0))
    return doctor_temporal.versions(SimpleNamespace())


def test_a_current_build_without_a_worker_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "build 0.2.0-bbbbbbbb is current" == told(monkeypatch, Row(version=CURRENT, workers=1, here=False))
    with pytest.raises(StackError, match=r"current build 0\.2\.0-bbbbbbbb has no worker") as caught:
        told(monkeypatch, Row(version=CURRENT, workers=0, here=False))
    assert "mltemporal versions deploy" in caught.value.next_step


def test_where_nothing_answers_another_part_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise StackError("no stack runs: …", "run `mltemporal up`")

    monkeypatch.setattr(doctor_temporal, "within", away)
    assert "not looked at: no stack runs" == doctor_temporal.versions(SimpleNamespace())
