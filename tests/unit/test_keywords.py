"""A misspelt keyword is refused in words, before anything is looked at."""

import inspect

import pytest

import mltemporal
from mltemporal.errors import InvalidRequest


@pytest.mark.parametrize(
    ("call", "wrong", "hint"),
    [
        ("train", "traget", "did you mean target=?"),
        ("train", "parms", "did you mean params=?"),
        (
            "train",
            "epochs",
            "what your trainer takes goes into params={'epochs': …}; help(mltemporal.train) has the rest",
        ),
        ("preprocess", "stesp", "did you mean steps=?"),
        ("predict", "zzz", "help(mltemporal.predict) has them all"),
    ],
)
def test_what_was_meant_is_said(call: str, wrong: str, hint: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"{call}\(\) has no argument {wrong}=") as refused:
        getattr(mltemporal, call)("data", **{wrong: 1})
    assert hint == refused.value.next_step


def test_editors_still_see_the_arguments() -> None:
    assert "target" in inspect.signature(mltemporal.train).parameters
    assert "Train outside the kernel" in (mltemporal.train.__doc__ or "")
