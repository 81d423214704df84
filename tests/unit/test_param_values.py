"""What ``job.set(…)`` may give."""

from typing import Any

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.param_values import check_names, check_values, told_values


@pytest.mark.parametrize("value", [1, 0.5, "text", True, None, [1, 2], (0.1, "a"), []])
def test_plain_values_may_be_set(value: object) -> None:
    check_values({"lr": value})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "set() without a value"),
        ({"lr": float("nan")}, "lr=nan is no plain value"),
        ({"lr": {"a": 1}}, "lr={'a': 1} is no plain value"),
        ({"lr": [[1]]}, "lr=[[1]] is no plain value"),
        ({"lr": object}, "is no plain value"),
        ({"lr": 2**70}, "is no plain value"),
        ({"lr": list(range(101))}, "is no plain value"),
        ({"text": "x" * 5000}, "at most 4,096 may be set in all"),
        ({"api_key": "x"}, "'api_key' sounds like a secret"),
        ({"a b": 1}, "'a b' cannot name a parameter"),
    ],
)
def test_what_is_not_plain_small_and_public_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_values(values)
    assert words in caught.value.what
    assert caught.value.next_step


def test_an_unknown_name_is_refused_with_the_one_that_was_perhaps_meant() -> None:
    check_names({"lr": 1}, ["lr", "depth"])
    with pytest.raises(InvalidRequest) as caught:
        check_names({"dept": 1}, ["lr", "depth"])
    assert "the training has no parameter 'dept'" == caught.value.what
    assert "did you mean 'depth'? it has lr, depth" == caught.value.next_step


def test_values_are_told_in_a_line() -> None:
    assert "lr=0.01, layers=[3, 4]" == told_values({"lr": 0.01, "layers": [3, 4]})
