"""The threat model promises nothing that no test holds it to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/threat-model.md").read_text())))


def test_there_are_promises() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_promise_names_a_test_that_is_there(file: str, test: str) -> None:
    assert re.search(rf"^ *(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)
