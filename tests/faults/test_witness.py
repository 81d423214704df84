"""Two attempts that are alive together are noticed by the code that they run."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.tasks import witnessed

from mltemporal.runtime import context
from mltemporal.runtime.context import Job
from mltemporal.storage.content import Storage


def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(context, "_job", Job(Storage(str(tmp_path / "storage")), "training-1", number))


def test_an_attempt_that_begins_while_another_is_alive_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(tmp_path, monkeypatch, 1)
    with witnessed(str(tmp_path)):
        attempt(tmp_path, monkeypatch, 2)
        with witnessed(str(tmp_path)):
            pass
    assert "training-1.1." in (tmp_path / "overlaps").read_text()


def test_one_after_the_other_is_no_overlap_and_neither_are_two_shards_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(tmp_path, monkeypatch, 1)
    with witnessed(str(tmp_path)):
        pass
    attempt(tmp_path, monkeypatch, 2)
    with witnessed(str(tmp_path)):
        pass
    assert not (tmp_path / "overlaps").exists()
