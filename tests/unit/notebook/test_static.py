import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from mltemporal.notebook.picture import Picture
from mltemporal.notebook.static import to_html, to_text
from mltemporal.specs.running import JobStatus

NASTY = "<script>alert(1)</script>\"'&\x1b[31m"


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes


def images(html):
    return [
        base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html)
    ]


def test_nothing_from_a_job_becomes_markup(view_of):
    view = view_of(
        status=JobStatus.FAILED,
        name=NASTY,
        trainer=NASTY,
        dataset=NASTY,
        error=NASTY,
        notes=(NASTY,),
        log_tail=(NASTY,),
        metrics={NASTY: 1.0},
        stage=NASTY,
        points=[(1, 0, {NASTY: 1.0}), (1, 1, {NASTY: 2.0})],
    )

    html = to_html(Picture(view, message=NASTY))

    assert {"script"}.isdisjoint(Tags(html).tags)
    assert not [name for name, _ in Tags(html).attributes if name.startswith("on")]
    assert "\x1b" not in html
    for image in images(html):
        assert "script" not in {
            element.tag.rpartition("}")[2] for element in ElementTree.fromstring(image).iter()
        }


def test_the_chart_is_an_image_on_white(view_of, falling):
    html = to_html(Picture(view_of(points=falling)))

    [image] = images(html)
    root = ElementTree.fromstring(image)
    assert "#ffffff" == root[0].get("fill")
    assert "<svg" not in html


def test_a_running_job_says_how_far_it_was_when_saved_and_how_to_follow_it(view_of, falling):
    text = to_text(Picture(view_of(points=falling)), now=0.0)

    assert re.search(
        r"running at 40 % when this was saved \(19\d\d-\d\d-\d\d \d\d:\d\d\); mltemporal.job\(7\) follows it",
        text,
    )


def test_a_succeeded_job_shows_its_metrics_and_for_how_long_it_ran(view_of):
    view = view_of(status=JobStatus.SUCCEEDED, finished_at=1_800_000_065.0, metrics={"r2": 0.98765})

    text = to_text(Picture(view))

    assert "churn (job 7): succeeded\n  fit  ·  local\n  succeeded after 1 min 5 s\n  r2: 0.9877" == text


def test_a_failed_job_shows_the_error(view_of):
    picture = Picture(view_of(status=JobStatus.FAILED, error="KeyError: 'x'\n\nNext step: mend it"))

    assert "KeyError: &#x27;x&#x27;" in to_html(picture)
    assert "KeyError: 'x'\n\nNext step: mend it" in to_text(picture)


def test_later_attempts_are_counted_and_marked(view_of):
    points = [(1, 0, {"loss": 1.0}), (1, 5, {"loss": 0.5}), (2, 4, {"loss": 0.6}), (2, 6, {"loss": 0.4})]
    picture = Picture(view_of(points=points, attempt=2, attempts_allowed=3))

    assert "attempt 2 of 3" in to_text(picture)
    assert "attempt 2" in images(to_html(picture))[0]


@pytest.mark.parametrize(
    "values", [[1.0], [2.0, 2.0], [0.0, 0.0], [float("nan")], [1e300, -1e300], [1e-12, 2e-12]]
)
def test_odd_values_still_make_a_chart(view_of, values):
    points = [(1, step, {"loss": value}) for step, value in enumerate(values)]

    [image] = images(to_html(Picture(view_of(points=points))))

    assert ElementTree.fromstring(image) is not None


def test_many_metrics_do_not_make_a_wall_of_charts(view_of):
    metrics = {f"metric{letter}": 1.0 for letter in "abcdefgh"}

    html = to_html(Picture(view_of(points=[(1, 0, metrics)])))

    assert "2 more metrics" in html
