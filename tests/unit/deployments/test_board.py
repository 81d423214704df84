"""How versions are shown."""

from mltemporal.deployments.board import VersionBoard
from mltemporal.deployments.calls import Version
from mltemporal.deployments.rollout import Row


def board(*versions: Version) -> VersionBoard:
    rows = tuple(Row(version=version, workers=2, here=number == 0) for number, version in enumerate(versions))
    return VersionBoard(rows=rows, time=1000.0)


RAMP = board(
    Version(build="0.2.0-bbbbbbbb", state="ramping", percentage=5.0, since=995.0, jobs=1),
    Version(build="0.1.0-aaaaaaaa", state="current", percentage=95.0, since=400.0, jobs=50),
    Version(build="0.0.9-99999999", state="draining", since=100.0, jobs=3),
)


def test_as_text_it_is_a_table() -> None:
    assert ["VERSION", "BUILD", "STATE", "JOBS", "WORKERS", "SINCE"] == repr(RAMP).splitlines()[0].split()
    first, second, third = repr(RAMP).splitlines()[1:]
    assert "0.2.0-bbbbbbbb (this code)" in first
    assert "ramping, 5 % of new jobs" in first
    assert "current, 95 % of new jobs" in second
    assert third.split()[:5] == ["0.0.9", "0.0.9-99999999", "draining", "3", "2"]


def test_the_only_version_gets_all_and_says_no_more() -> None:
    text = repr(board(Version(build="0.1.0-aaaaaaaa", state="current", percentage=100.0, since=0.0)))
    assert "% of new jobs" not in text


def test_a_build_that_somebody_else_named_does_no_harm() -> None:
    evil = board(Version(build="<script>alert(1)</script>\x1b[2J-00000000", state="current", since=0.0))
    assert "<script>" not in evil._repr_html_()
    assert "\x1b" not in repr(evil)
    assert "\x1b" not in evil._repr_html_()


def test_without_a_version_it_says_so() -> None:
    assert repr(board()).startswith("no version yet")
    assert "no version yet" in board()._repr_html_()
    assert board().frame.empty


def test_as_a_frame_it_has_a_row_a_version() -> None:
    frame = RAMP.frame
    assert ["ramping", "current", "draining"] == list(frame["state"])
    assert [1, 50, 3] == list(frame["jobs"])
    assert [True, False, False] == list(frame["here"])
    assert "UTC" == str(frame["since"].dt.tz)


def test_a_build_that_gets_jobs_and_has_no_worker_is_named() -> None:
    version = Version(build="0.2.0-<b>", state="current", percentage=100.0, since=0.0)
    dead = VersionBoard(rows=(Row(version=version, workers=0, here=False),), time=1000.0)
    assert "current build 0.2.0-<b> has no worker" == dead.trouble
    assert "has no worker: its new jobs wait; start one" in repr(dead)
    assert "<div>current build 0.2.0-&lt;b&gt; has no worker" in dead._repr_html_()
    assert "" == RAMP.trouble
    assert "no worker" not in repr(RAMP) + RAMP._repr_html_()
