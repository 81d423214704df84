import textwrap
import traceback

import pytest
from IPython.core.error import UsageError

from mltemporal.notebook.cell_function import function_from_cell


@pytest.fixture
def make(plain_shell):
    plain_shell.user_ns["offset"] = 10

    def from_text(text, *params):
        return function_from_cell(textwrap.dedent(text), params, plain_shell)

    return from_text


def test_the_last_expression_is_the_result_and_globals_are_seen(make):
    assert 15 == make("x = data + offset\nx * 1")(5)


def test_a_model_is_the_result_where_no_expression_ends_the_cell(make):
    assert 6 == make("model = data + 1\nother = 2")(5)


def test_a_return_is_the_result(make):
    assert 5 == make("if data:\n    return data\nreturn 0")(5)


def test_params_are_keywords(make):
    assert 8 == make("data + depth", "depth")(5, depth=3)


def test_a_traceback_points_into_the_cell(make):
    with pytest.raises(ZeroDivisionError) as caught:
        make("x = 1\nx / 0")(None)

    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (2, "x / 0") == (last.lineno, last.line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n%time y", "line 2 of the cell is no Python: invalid syntax"),
        ("x = 1", "the cell has no result: end it with an expression, or assign to `model`"),
        ("", "the cell has no result: end it with an expression, or assign to `model`"),
    ],
)
def test_a_cell_that_cannot_train_is_told_why(make, text, message):
    with pytest.raises(UsageError) as caught:
        make(text)

    assert message == str(caught.value)
