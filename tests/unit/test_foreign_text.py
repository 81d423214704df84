"""What others write does no harm, whatever it is and wherever it is shown."""

import base64
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest

from mltemporal.cli.runs import describe, table
from mltemporal.curves import Curves
from mltemporal.database.jobs import JobRow
from mltemporal.errors import JobFailed, NotFound
from mltemporal.monitoring.board import HealthBoard
from mltemporal.notebook.picture import Picture
from mltemporal.notebook.static import to_html, to_text
from mltemporal.plots.health import plot_health
from mltemporal.plots.metrics import plot_comparison, plot_metrics
from mltemporal.plots.runs import plot_history
from mltemporal.plots.timeline import plot_timeline
from mltemporal.profiling.drift import ColumnDrift, Drift
from mltemporal.profiling.profiles import ColumnProfile, Profile, Top
from mltemporal.results import Artifacts, StoredFile, TrainingResult
from mltemporal.runs import RunHistory, jobs_frame
from mltemporal.specs.data import Artifact, Column, DatasetRef, ObjectRef
from mltemporal.specs.health import HealthCheck, HealthState
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.results import TrainingResult as Recorded
from mltemporal.specs.running import JobStatus
from mltemporal.stack.doctor import Check
from mltemporal.stack.overview import StackStatus
from mltemporal.storage.content import Storage
from mltemporal.views import JobView, Point
from mltemporal.words import clean, markdown, one_line

NASTY = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=\"alert(1)' x='",
    "picture": '<img src=x onerror="alert(1)">',
    "entity": "&lt;script&gt;&#60;",
    "end of an svg": "</text></svg><script>alert(1)</script>",
    "CDATA": "]]><script/>",
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "\x1b[2J\x1b[1;1Hgone",
    "title": "\x1b]0;owned\x07text",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\text",
    "link": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "DCS": "\x1bP$q\x1b\\text",
    "APC": "\x1b_payload\x1b\\text",
    "no end": "\x1b]0;never closed",
    "short": "\x1bc\x1b(B\x1b7text",
    "C1": "\x9b31mred \x9d0;title\x9c\x90x\x9ctext",
    "split": "\x1b\x00[31m \x1b\x1b[31m",
    "bell": "\x07\x07text",
    "backspace": "good\x08\x08\x08\x08evil",
    "carriage return": "evil\rgood",
    "null": "a\0b",
    "turned": "\u202egnp.exe\u2066\u2069",
    "line ends": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "half a character": "a\ud800b",
    "formula": r"$\frac{$ $\bad$",
    "markdown": "[x](javascript:alert(1)) **b** `c` ![](http://evil)",
}


@pytest.fixture(params=NASTY.values(), ids=NASTY)
def nasty(request: pytest.FixtureRequest) -> str:
    """A text as somebody else may have written it."""
    return str(request.param)


def harmless(text: str) -> bool:
    """Whether a terminal, or a file, takes ``text`` as text and nothing else."""
    kinds = {unicodedata.category(character) for character in set(text) - {"\n", "\t"}}
    turning = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return not kinds & {"Cc", "Cs", "Zl", "Zp"} and not set(text) & turning


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def check_page(page: str) -> None:
    """Fail where a page holds more than our own markup, in itself or in its pictures."""
    assert harmless(page)
    read = _Page(page)
    assert not read.tags & {"script", "iframe", "object", "svg"}
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    sources = [value or "" for name, value in read.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    for source in sources:
        picture = ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
        assert {element.tag.rpartition("}")[2] for element in picture.iter()} <= {
            *("svg", "rect", "g", "polyline", "circle", "path", "text", "tspan", "title", "line"),
        }


def a_view(text: str) -> JobView:
    return JobView(
        id=7,
        name=text,
        kind="training",
        status=JobStatus.FAILED,
        stage=text,
        trainer=text,
        dataset=text,
        backend=text,
        created_at=1.0,
        points=tuple(Point(attempt=1, time=float(i), step=i, metrics={text: 1.0 * i}) for i in range(3)),
        log_tail=(text,),
        notes=(text,),
        metrics={text: 1.0},
        error=text,
    )


def a_row(text: str) -> JobRow:
    dataset = DatasetRef(fingerprint="f", rows=3, columns=(Column(name=text, type="int64"),), name=text)
    spec = JobSpec(
        key="training-1",
        name=text,
        dataset=dataset,
        trainer=TrainerRef(kind="script", label=text),
        target=text,
    )
    return JobRow(
        id=1,
        key="training-1",
        kind="training",
        name=text,
        status=JobStatus.SUCCEEDED,
        stage=text,
        fingerprint="f",
        spec=spec,
        tags=(text,),
        attempt=1,
        created_by=text,
        created_at=1.0,
        started_at=1.0,
        finished_at=2.0,
        result=Recorded(job_id=1, metrics={text: 1.0}),
        error=text,
    )


def test_clean_text_is_harmless_and_stays_what_it_is(nasty: str) -> None:
    assert harmless(clean(nasty))
    assert clean(nasty) == clean(clean(nasty))


def test_an_escape_without_an_end_hides_its_own_line_only() -> None:
    assert "a\nb" == clean("a\x1b]0;never closed\nb")


def test_one_line_is_one(nasty: str) -> None:
    assert 1 >= len(one_line(nasty + "\n" + nasty).splitlines())


def test_the_panel_is_told_harmless_words_only(nasty: str) -> None:
    facts = Picture(a_view(nasty), message=nasty).facts()

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for pair in value.items() for each in pair for text in texts(each)]
        if isinstance(value, list | tuple):
            return [text for each in value for text in texts(each)]
        return [value] if isinstance(value, str) else []

    assert all(map(harmless, texts(facts)))
    assert json.loads(json.dumps(facts, allow_nan=False))


def test_the_lasting_form_has_no_markup_of_others(nasty: str) -> None:
    check_page(to_html(Picture(a_view(nasty), message=nasty), twin="mltemporal-1", now=1.0))


def test_the_terminal_form_is_harmless(nasty: str) -> None:
    assert harmless(to_text(Picture(a_view(nasty), message=nasty), now=1.0))


def test_lines_of_a_chart_have_harmless_names(nasty: str) -> None:
    curves = Curves([Point(attempt=1, time=0.0, metrics={nasty: 1.0})])
    assert all(harmless(name) for group in curves.charts() for name in group)


def test_errors_are_harmless_on_a_screen(nasty: str) -> None:
    assert harmless(str(NotFound(f"there is no {nasty}", nasty)))
    assert all(map(harmless, JobFailed(nasty)._render_traceback_()))


def test_the_table_of_runs_in_a_shell_is_harmless_and_a_line_a_run(nasty: str) -> None:
    lines = table([describe(a_row(nasty), 3.0)])
    assert 1 == len(lines)
    assert harmless(lines[0])


def test_status_and_doctor_are_harmless(nasty: str) -> None:
    status = StackStatus(
        running=True,
        services=nasty,
        temporal_address=nasty,
        task_queue=nasty,
        web_ui=nasty,
        database=nasty,
        storage=nasty,
        trouble=nasty,
    )
    assert harmless(repr(status))
    check_page(status._repr_html_())
    assert harmless(str(Check(part=nasty, ok=False, detail=nasty, next_step=nasty)))


def test_the_board_is_harmless(nasty: str) -> None:
    check = HealthCheck(part=nasty, state=HealthState.PROBLEM, latency_ms=1.0, detail=nasty, next_step=nasty)
    board = HealthBoard(checks=(check,), time=1.0, note=nasty)
    assert harmless(repr(board))
    check_page(board._repr_html_())


def test_results_and_artifacts_are_harmless(nasty: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    storage = Storage(str(tmp_path))
    file = StoredFile(
        Artifact(name=nasty, object=ObjectRef(sha256="ab" * 32, size_bytes=1, format=nasty)), storage
    )
    artifacts = Artifacts([file])
    assert harmless(repr(artifacts))
    result = TrainingResult(job_id=1, metrics={nasty: 1.0}, artifacts=artifacts, storage=storage)
    assert harmless(repr(result))


def test_tables_of_runs_are_harmless(nasty: str) -> None:
    runs = RunHistory(None, [a_row(nasty)])  # type: ignore[arg-type]
    for frame in (runs.frame, jobs_frame([a_row(nasty)])):
        assert harmless(frame.to_string())
    check_page(runs._repr_html_())


def test_pages_of_profiles_and_drift_are_harmless(nasty: str) -> None:
    column = ColumnProfile(
        name=nasty, type=nasty, kind="text", nulls=1, distinct=1, top=(Top(value=nasty, count=9),)
    )
    profile = Profile(rows=10, duplicates=0, columns=(column,), target=nasty, warnings=(nasty,))
    moved = ColumnDrift(
        name=nasty,
        kind="text",
        psi=1.0,
        test="",
        statistic=0.0,
        p_value=1.0,
        distance=1.0,
        nulls_before=0.0,
        nulls_after=0.0,
        moved=True,
        words=nasty,
        labels=(nasty,),
        before=(1.0,),
        after=(0.0,),
    )
    drift = Drift(rows_before=1, rows_after=1, columns=(moved,), left_out=(nasty,))
    for shown in (profile, drift):
        assert harmless(repr(shown))
        check_page(shown._repr_html_())
    for figure in (profile.plot(), drift.plot()):
        check_svg(figure)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_figures_draw_every_name_as_text(nasty: str) -> None:
    nasty = nasty.replace("\ud800", "half")  # no table takes it
    at = pd.Timestamp("2026-11-23", tz="UTC")
    reports = pd.DataFrame({"step": [1, 2], "attempt": 1, "time": at, nasty: [1.0, 2.0], f"val_{nasty}": 1.0})
    events = pd.DataFrame(
        [(at, "command", 1, nasty, nasty), (at, "finished", 1, nasty, nasty)],
        columns=["time", "kind", "attempt", "message", "by"],
    )
    rounds = pd.DataFrame(
        {"time": [at, at], "round": [1, 2], "part": nasty, "state": "ok", "latency_ms": 1.0, "detail": nasty}
    )
    runs = RunHistory(None, [a_row(nasty)]).frame  # type: ignore[arg-type]
    for figure in (
        plot_metrics(reports),
        plot_comparison({nasty: reports}, reports.columns[3]),
        plot_history(runs, runs.columns[-1]),
        plot_timeline(events),
        plot_health(rounds),
    ):
        check_svg(figure)


def test_temporal_shows_a_name_as_it_is(nasty: str) -> None:
    shown = markdown(nasty)
    assert harmless(shown)
    assert not re.search(r"(?<!\\)[<>`*_\[\]()!#&]", shown)


def test_many_metrics_make_a_picture_of_some() -> None:
    at = pd.Timestamp("2026-11-23", tz="UTC")
    frame = pd.DataFrame({"step": [1], "attempt": 1, "time": at, **{f"m{i}": [1.0] for i in range(300)}})
    figure = plot_metrics(frame)
    assert 40 == len(figure.axes)
    assert "the first 40 of 300 charts" == figure.get_suptitle()


def check_svg(figure) -> None:  # type: ignore[no-untyped-def]
    """Fail where a figure's SVG is no XML, or runs something."""
    data = io.BytesIO()
    figure.savefig(data, format="svg")
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(data.getvalue()).iter()}
    assert not tags & {"script", "foreignObject", "a", "image"}
