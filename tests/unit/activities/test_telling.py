"""What people are told of a job's end."""

import pytest

from mltemporal.workflows.activities.telling import reason, slack_text

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    boom()
ValueError: the data is odd
  with a second line
Next step: look
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("", ""),
        ("its workflow was terminated\nNext step: retry", "its workflow was terminated"),
        (TRACEBACK, "ValueError: the data is odd"),
        ("Traceback (most recent call last):\n  File", "File"),
        ("x" * 500, "x" * 200),
    ],
)
def test_the_reason_is_one_line_and_no_traceback(error: str, line: str) -> None:
    assert line == reason(error)


def test_a_name_cannot_call_a_whole_channel() -> None:
    assert "&lt;!channel&gt; &amp; more" == slack_text("<!channel> & more")
