"""What `status` shows."""

from pathlib import Path

from mltemporal.database.engine import Database
from mltemporal.database.workers import WorkerInfo
from mltemporal.settings import load_settings
from mltemporal.stack import status
from mltemporal.stack.overview import StackStatus, masked_url

WORKER = WorkerInfo(
    id="w",
    host="<b>host</b>",
    pid=7,
    version="0.1.0",
    python="python",
    task_queue="q",
    started_at=0.0,
    seen_at=0.0,
)
STATUS = StackStatus(
    running=True,
    services="temporal running, worker running",
    temporal_address="127.0.0.1:20001",
    task_queue="mltemporal-1234",
    web_ui="http://127.0.0.1:20002",
    database="sqlite:////home/me/mltemporal.db",
    storage="/home/me/storage",
    workers=(WORKER,),
)


def test_the_text_is_a_line_a_fact() -> None:
    lines = repr(STATUS).splitlines()
    assert "stack       temporal running, worker running" == lines[0]
    assert "Web UI      http://127.0.0.1:20002" == lines[2]
    assert lines[-1].startswith("worker      process 7 on <b>host</b>, mltemporal 0.1.0, since ")


def test_the_picture_escapes_what_others_wrote_and_links_the_web_ui() -> None:
    picture = STATUS._repr_html_()
    assert "&lt;b&gt;host&lt;/b&gt;" in picture
    assert '<a href="http://127.0.0.1:20002" target="_blank" rel="noopener">' in picture


def test_a_password_is_masked() -> None:
    assert "postgresql://me:***@db/jobs" == masked_url("postgresql://me:secret@db/jobs")
    assert "not a database URL" == masked_url("secret")


def test_without_a_stack_it_says_so(tmp_path: Path) -> None:
    settings = load_settings({"MLTEMPORAL_HOME": str(tmp_path), "MLTEMPORAL_TEMPORAL": "embedded"})
    Database.prepare(settings.database_url)
    told = status(settings)
    assert not told.running
    assert ("", "", ()) == (told.temporal_address, told.web_ui, told.workers)
    assert told.task_queue.startswith("mltemporal-")
    assert "" == told.trouble


def test_a_database_that_is_away_is_trouble_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = load_settings({"MLTEMPORAL_HOME": str(tmp_path / "file"), "MLTEMPORAL_TEMPORAL": "embedded"})
    assert "" != status(settings).trouble
