import math

import pytest

from mltemporal.words import clean, duration, number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("10%\r50%\r100%", "100%"),
        ("windows\r\nends", "windows\nends"),
        ("bell\x07 null\x00 c1\x9b", "bell null c1"),
        ("turned\u202e around", "turned around"),
        ("tab\tand ümläut stay", "tab\tand ümläut stay"),
    ],
)
def test_text_from_jobs_is_cleaned(text, expected):
    assert expected == clean(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.97312, "0.9731"),
        (1200.0, "1200"),
        (1234.567, "1235"),
        (0.00001234, "1.23e-05"),
        (12345678.9, "1.23e+07"),
        (0.0, "0"),
        (math.nan, "–"),
        (-math.inf, "-∞"),
    ],
)
def test_numbers_have_four_digits(value, expected):
    assert expected == number(value)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3840, "1 h 4 min"),
        (93_784, "1 d 2 h"),
        (-3, "0 s"),
    ],
)
def test_durations_name_two_units(seconds, expected):
    assert expected == duration(seconds)
