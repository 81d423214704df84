"""The progress lines: one form for every language, and no line that stops a job."""

import pytest

from mltemporal.progress import MAX_LINE_BYTES, PREFIX, Line, format_line, is_file_name, parse_line
from mltemporal.specs.data import ObjectRef


def test_a_report_comes_back_as_it_went() -> None:
    line = format_line(time=1.5, step=3, total=10, metrics={"loss": 0.25, "f1": None})
    expected = Line(time=1.5, step=3, total=10, metrics={"loss": 0.25, "f1": None})
    assert expected == parse_line(line.decode())


def test_an_artifact_comes_back_as_it_went() -> None:
    ref = ObjectRef(sha256="ab" * 32, size_bytes=7)
    line = parse_line(format_line(event="artifact", name="größe.png", object=ref).decode())
    assert Line(event="artifact", name="größe.png", object=ref) == line


def test_a_line_is_one_line_whatever_it_holds() -> None:
    line = format_line(event="note", text="two\nlines\r")
    assert line.endswith(b"}\n")
    assert 1 == line.count(b"\n")
    assert b"\r" not in line


def test_the_shortest_line_of_another_language_is_enough() -> None:
    assert Line(metrics={"loss": 1.0}) == parse_line('::mltemporal::{"metrics":{"loss":1}}')


def test_a_line_may_end_as_windows_ends_lines() -> None:
    assert Line(step=3) == parse_line('::mltemporal:: {"step": 3}\r')


def test_a_line_may_follow_an_unfinished_one() -> None:
    assert Line(step=3) == parse_line(' 40%|████      | ::mltemporal::{"step":3}')


def test_what_a_newer_version_adds_is_ignored() -> None:
    assert Line(step=3) == parse_line('::mltemporal::{"step":3,"mood":"good"}')


def test_the_longest_line_has_4_kib() -> None:
    room = MAX_LINE_BYTES - len(format_line(event="note", text=""))
    assert MAX_LINE_BYTES == len(longest := format_line(event="note", text="x" * room))
    assert parse_line(longest.decode().rstrip("\n")) is not None
    with pytest.raises(ValueError, match="a progress line of 4097 bytes is over the limit of 4096"):
        format_line(event="note", text="x" * (room + 1))


def test_the_limit_counts_bytes_not_letters() -> None:
    too_long = f'{PREFIX}{{"text":"{"ü" * 3000}"}}'
    assert len(too_long) < MAX_LINE_BYTES < len(too_long.encode())
    assert parse_line(too_long) is None


@pytest.mark.parametrize(
    "text",
    [
        "epoch 3: loss 0.25",
        "::mltemporal::",
        "::mltemporal::not json",
        "::mltemporal::[1, 2]",
        '::mltemporal::{"step": "three"}',
        '::mltemporal::{"step": 1.5}',
        '::mltemporal::{"metrics": {"loss": "low"}}',
        '::mltemporal::{"metrics": {"loss": NaN}}',
        '::mltemporal::{"step": 99999999999999999999}',
        '::mltemporal::{"time": 1e999}',
        '::mltemporal::{"event": "artifact", "object": {"sha256": "ab"}}',
        '::mltemporal::{"step": 3} and more',
        ":mltemporal:{}",
    ],
)
def test_what_is_no_progress_is_ordinary_output(text: str) -> None:
    assert parse_line(text) is None


@pytest.mark.parametrize("name", ["roc.png", "plots/roc.png", "größe.txt", "a b", ".hidden", "..."])
def test_a_file_name_is_a_path_below(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a"),
        *(
            "C:\\x",
            "c:x",
            "a\\..\\b",
            "\\\\host\\share",
            "a\0b",
            "a\nb",
            "\x1b[31m",
            "\u202egnp.exe",
            "x" * 201,
        ),
    ],
)
def test_what_may_lead_elsewhere_is_no_file_name(name: str) -> None:
    assert not is_file_name(name)
