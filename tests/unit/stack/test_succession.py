"""Who follows whom when code of several builds meets one stack."""

from dataclasses import replace

import pytest

from mltemporal.deployments.build import build_id, code_folder
from mltemporal.errors import VersionMismatch
from mltemporal.stack import succession
from mltemporal.stack.process import ProcessId
from mltemporal.stack.record import StackState
from mltemporal.stack.succession import check_version, is_older, took_over
from mltemporal.version import __version__

SAME = StackState(
    home="/home/me",
    supervisor=ProcessId(1, "mark"),
    version=__version__,
    build=build_id(),
    code=code_folder(),
    python="python",
    host="here",
    started_at=0.0,
    temporal_address="127.0.0.1:1",
)
OLDER = replace(SAME, version="0.0.9", build="0.0.9-00000000", code="/elsewhere")
NEWER = replace(SAME, version="99.0", build="99.0-00000000")
EDITED = replace(SAME, build=f"{__version__}-00000000")
ELSEWHERE = replace(EDITED, code="/elsewhere")


def test_a_stack_of_the_same_build_is_used_wherever_it_was_started_from() -> None:
    for running in (SAME, replace(SAME, code="/elsewhere")):
        assert not is_older(running)
        check_version(running)


def test_a_stack_of_an_older_version_is_taken_over() -> None:
    assert is_older(OLDER)
    with pytest.raises(VersionMismatch, match="run `mltemporal up`, which takes over"):
        check_version(OLDER)


def test_ten_is_newer_than_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "__version__", "0.10.0")
    assert is_older(replace(SAME, version="0.9.1", build="0.9.1-00000000"))


def test_a_stack_of_before_there_were_builds_is_taken_over() -> None:
    assert is_older(replace(SAME, build="", code=""))


def test_a_stack_of_a_newer_version_is_left_alone_and_the_kernel_is_to_be_restarted() -> None:
    assert not is_older(NEWER)
    with pytest.raises(VersionMismatch, match="restart the kernel") as caught:
        check_version(NEWER)
    assert "was started by mltemporal 99.0-00000000, this is" in caught.value.what


def test_an_edit_of_the_workflow_code_takes_over_once_a_process_runs_it() -> None:
    assert is_older(EDITED)


def test_a_process_of_before_an_edit_is_to_be_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "build_on_disk", lambda: EDITED.build)
    assert not is_older(EDITED)
    with pytest.raises(VersionMismatch, match="restart the kernel"):
        check_version(EDITED)


def test_two_installations_of_one_version_do_not_take_turns() -> None:
    assert not is_older(ELSEWHERE)
    with pytest.raises(VersionMismatch, match="from another folder: '/elsewhere'"):
        check_version(ELSEWHERE)


def test_what_happened_is_told_in_one_sentence() -> None:
    assert took_over(OLDER, 3) == f"mltemporal {__version__} took over from 0.0.9; 3 running jobs go on."
    assert took_over(OLDER, 1).endswith("; 1 running job goes on.")
    assert took_over(OLDER, 0).endswith("; no job was running.")
    assert took_over(EDITED, 0).startswith(f"mltemporal {build_id()} took over from build {EDITED.build}")
