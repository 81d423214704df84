"""Metrics of programs that cannot be changed, found without anybody being held up."""

import pytest

from mltemporal.errors import InvalidTrainer
from mltemporal.patterns import check_patterns, match_patterns
from mltemporal.progress import Line

CATASTROPHES = [
    r"(a+)+b",
    r"(?:a+)+(b)",
    r"(?:a|a)*(b)",
    r"(?:a|aa)+(c)$",
    r"(?:.*a){20}(b)",
    r"(?:x+x+)+(y)",
]


def test_patterns_find_the_metrics_of_a_program_that_cannot_be_changed() -> None:
    patterns = {"loss": r"loss=(\S+)", "accuracy": r"acc (\d+)%"}
    texts = ["loss=0.25 acc 91%", "acc 91%", "nothing here"]
    both, one, none = match_patterns(texts, patterns)
    assert Line(metrics={"loss": 0.25, "accuracy": 91.0}) == both
    assert Line(metrics={"accuracy": 91.0}) == one
    assert none is None


@pytest.mark.parametrize("text", ["loss=low", "loss=", "loss=" + "9" * 5000])
def test_a_pattern_that_catches_no_number_finds_nothing(text: str) -> None:
    assert [None] == match_patterns([text], {"loss": r"loss=(\w+)?"})


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"loss=(\S+)", r"loss=(?P<x>\S+)", r"(?i)LOSS=(\S+)", r"[(]?loss=(\S+)", r"\(?loss=(\S+)"),
        *(r"[]()]*loss=(\S+)", r"(?:loss|cost)=(\S+)", r"[^](]oss=(\S+)"),
    ],
)
def test_the_one_group_is_found_however_the_pattern_is_written(pattern: str) -> None:
    check_patterns({"loss": pattern})
    assert [Line(metrics={"loss": 0.5})] == match_patterns(["x loss=0.5 y"], {"loss": pattern})


@pytest.mark.timeout(30)  # Python's own engine would need longer than the universe has lasted
@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_no_pattern_is_held_up_by_a_line(pattern: str) -> None:
    try:
        check_patterns({"loss": pattern})
    except InvalidTrainer:
        return  # told before anything was started
    assert [None, None] == match_patterns(["a" * (64 << 10) + "!", "x" * (64 << 10)], {"loss": pattern})


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ({"loss": r"(?<=loss=)(\S+)"}, "look-around"),
        ({"loss": r"(\w)\1"}, "back-references"),
        ({"loss": r"(?x) loss = (\S+)"}, "look-around"),
        ({"loss": r"loss=(\S+"}, "no regular expression"),
        ({"loss": r"loss=\S+"}, "0 groups"),
        ({"loss": r"(loss)=(\S+)"}, "2 groups"),
        ({"loss": "x" * 1001}, "1000 characters"),
        ({"l" * 1_000_000: r"loss=(\S+)"}, "200 printable"),
        ({"\x1b[31m": r"loss=(\S+)"}, "cannot name a metric"),
        ({f"m{i}": r"loss=(\S+)" for i in range(101)}, "at most 100"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(patterns: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidTrainer, match=words) as refused:
        check_patterns(patterns)
    assert len(str(refused.value)) < 1000


def test_a_pattern_of_an_older_version_that_is_refused_now_finds_nothing() -> None:
    assert [None] == match_patterns(["loss=0.5"], {"loss": r"(?<=loss=)(\S+)"})
