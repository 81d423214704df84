"""Properties of what reads words of others, and the long search for input that breaks it."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from fuzz.__main__ import run
from fuzz.mutating import mutated
from fuzz.readers import READERS, Reader, _lines, followed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltemporal.progress import MAX_LINE_BYTES, PREFIX, format_line, is_file_name, parse_line
from mltemporal.words import clean, markdown, one_line, shortened

BOUNDED = settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

OUTPUT = b"".join(_lines()) * 2 + b"the last words"
pieces = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(_lines()),
        st.sampled_from([b"\n", b"\r", PREFIX.encode(), b"loss=0.5 ", b"\xf0\x9f\x98\x80", b"x" * 70_000]),
    ),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize("cut", range(len(OUTPUT) + 1))
def test_an_output_cut_at_any_byte_is_recorded_the_same(cut: int) -> None:
    assert followed(OUTPUT, []) == followed(OUTPUT, [cut])


@BOUNDED
@given(pieces, st.data())
def test_any_output_in_any_pieces_is_recorded_the_same(output: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=6)))
    patterns = {"loss": r"loss=(\S+)"}
    assert followed(output, [], patterns) == followed(output, cuts, patterns)


@BOUNDED
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20), st.floats(allow_nan=False, allow_infinity=False), max_size=5
    ),
    st.none() | st.integers(-(2**53), 2**53),
)
def test_what_is_reported_is_what_is_read(metrics: dict[str, float], step: int | None) -> None:
    line = parse_line(format_line(step=step, metrics=metrics).decode())
    assert line is not None
    assert (step, metrics) == (line.step, line.metrics)


@BOUNDED
@given(st.text(max_size=MAX_LINE_BYTES + 10))
def test_no_text_after_the_prefix_breaks_the_reader(text: str) -> None:
    parse_line(PREFIX + text)


@BOUNDED
@given(st.text(st.characters(), max_size=200))
def test_clean_text_stays_clean_and_encodes(text: str) -> None:
    once = clean(text)
    assert once == clean(once)
    once.encode()
    assert not {"\x1b", "\x9b", "\r", "\b", "\x07", "\u202e"} & set(once)
    assert "\n" not in one_line(text)
    assert len(markdown(text, 50).encode()) <= 50
    assert not (len(markdown(text, 50)) - len(markdown(text, 50).rstrip("\\"))) % 2, "no half an escape"


@BOUNDED
@given(st.text(max_size=300), st.integers(10, 400))
def test_a_shortened_text_is_no_longer_than_it_may_be(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit


@BOUNDED
@given(st.text(alphabet="./\\ac:\0\x1b ", max_size=12))
def test_a_file_name_never_leads_out_of_its_folder(name: str) -> None:
    if is_file_name(name):
        root = Path("/root/of/it")
        assert (root / name).resolve().is_relative_to(root)
        assert (root / name) != root


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_each_reader_takes_or_refuses_in_words_what_nobody_meant(reader: Reader, tmp_path: Path) -> None:
    chance = random.Random(reader.name)
    for _ in range(60):
        with suppress(*reader.refusals):  # anything else is a crash
            reader.read(mutated(reader.sound(), chance), tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_each_reader_takes_what_is_sound(reader: Reader, tmp_path: Path) -> None:
    for data in reader.sound():
        reader.read(data, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_half_a_minute_of_input_that_nobody_meant_breaks_no_reader(reader: Reader) -> None:
    tried, _, crashes = run(reader, 30.0, seed=1)
    assert tried
    assert {} == crashes
