"""The record of the running stack."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mltemporal.errors import StackError
from mltemporal.settings import load_settings
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import (
    ServiceState,
    StackState,
    check_settings,
    fingerprints,
    read_state,
    write_state,
)
from mltemporal.version import __version__

SETTINGS = load_settings(
    {"MLTEMPORAL_HOME": "/home/me", "MLTEMPORAL_DATABASE_URL": "postgresql://me:secret@db/jobs"}
)


@pytest.fixture
def running() -> StackState:
    me = ProcessId.of(os.getpid())
    assert me is not None
    return StackState(
        home="/home/me",
        supervisor=me,
        version=__version__,
        python="python",
        host="here",
        started_at=1.0,
        temporal_address="127.0.0.1:20001",
        services={
            "temporal": ServiceState(state="running"),
            "worker": ServiceState(state="running", process=me),
        },
        fingerprints=fingerprints(SETTINGS, "embedded"),
    )


def test_what_is_written_is_read_again(running: StackState, tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", running)
    assert running == read_state(tmp_path / "state.json")
    assert ["state.json"] == [path.name for path in tmp_path.iterdir()]


def test_the_record_holds_no_password(running: StackState, tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", running)
    assert "secret" not in (tmp_path / "state.json").read_text()


@pytest.mark.parametrize("text", ["", "{", '{"home": 1}', "[]"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path / "state.json") is None


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state.json") is None
    assert read_state(tmp_path / "state.json" / "below") is None


def test_it_is_ready_once_the_server_runs(running: StackState) -> None:
    starting = replace(running, services={"temporal": ServiceState(state="starting")})
    without_server = replace(running, services={"worker": ServiceState(state="restarting")})
    assert [True, False, True, False] == [
        each.ready for each in (running, starting, without_server, replace(running, services={}))
    ]


def test_settings_that_differ_are_named(running: StackState) -> None:
    check_settings(running, fingerprints(SETTINGS, "embedded"))
    other = replace(SETTINGS, storage_url="s3://bucket/other")
    with pytest.raises(StackError) as caught:
        check_settings(running, fingerprints(other, "localhost:7233/default"))
    assert (
        "the stack of '/home/me' was started with another storage and another Temporal "
        "than this process is set to use\n"
        "Next step: run `mltemporal down && mltemporal up`, or give this process a MLTEMPORAL_HOME of its own"
    ) == str(caught.value)
