"""Errors say what happened and what to do next, wherever they travel."""

import inspect
import pickle
import re

import pytest

from mltemporal import errors
from mltemporal.errors import (
    NON_RETRYABLE,
    InvalidDataset,
    InvalidRequest,
    JobFailed,
    MLTemporalError,
    NotFound,
    ServiceUnavailable,
    StackError,
    TrainingInterrupted,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, MLTemporalError) and not kind.__name__.startswith("_")
]


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    drawn = re.findall(r"^[│├└─ ]*(\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE)
    assert {kind.__name__ for kind in ALL} == set(drawn)


def test_the_drawn_tree_is_the_real_one() -> None:
    parents: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^([│├└─ ]*)(\w+)(?: {2,}|$)", line):
            depth, name = len(found.group(1)), found.group(2)
            parents = [(level, parent) for level, parent in parents if level < depth]
            if parents:
                kind = getattr(errors, name)
                assert getattr(errors, parents[-1][1]) in kind.__bases__
            parents.append((depth, name))


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling_with_both_its_parts(kind: type[MLTemporalError]) -> None:
    error = pickle.loads(pickle.dumps(kind("it broke", "mend it")))
    assert (kind, "it broke", "mend it") == (type(error), error.what, error.next_step)


@pytest.mark.parametrize("kind", ALL)
def test_the_text_has_the_next_step_on_a_line_of_its_own(kind: type[MLTemporalError]) -> None:
    assert "it broke\nNext step: mend it" == str(kind("it broke", "mend it"))


def test_an_error_without_a_next_step_is_only_what_happened() -> None:
    assert "it broke" == str(JobFailed("it broke"))


def test_what_is_never_retried_is_everything_that_trying_again_does_not_help() -> None:
    retried = {ServiceUnavailable, StackError, TrainingInterrupted}
    assert {kind.__name__ for kind in ALL} - {kind.__name__ for kind in retried} == set(NON_RETRYABLE)
    assert len(NON_RETRYABLE) == len(set(NON_RETRYABLE))


def test_errors_are_also_the_builtin_ones_that_people_catch() -> None:
    assert issubclass(InvalidDataset, InvalidRequest)
    assert issubclass(InvalidRequest, ValueError)
    assert issubclass(NotFound, LookupError)
