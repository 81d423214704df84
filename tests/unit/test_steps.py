from typing import Any

import pytest

from mltemporal import steps
from mltemporal.errors import InvalidRequest


def refusal(make: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (steps.filter("age > 18"), "filter('age > 18')"),
        (steps.drop_missing(), "drop_missing()"),
        (steps.drop_missing("age"), "drop_missing(['age'])"),
        (steps.split(), "split()"),
        (steps.split(0.3, group="user"), "split(0.3, group=['user'])"),
        (steps.derive(bmi="w / (h * h)"), "derive({'bmi': 'w / (h * h)'})"),
        (steps.fill_missing({"age": "median"}), "fill_missing({'age': 'median'})"),
        (steps.fill_missing("mean", columns=["a"]), "fill_missing(columns=['a'], strategy='mean')"),
        (
            steps.encode(["a"], "ordinal", max_categories=5),
            "encode(['a'], method='ordinal', max_categories=5)",
        ),
        (
            steps.cast({"a": int, "b": "date"}, errors="coerce"),
            "cast({'a': 'int', 'b': 'date'}, errors='coerce')",
        ),
        (steps.rename(old="new"), "rename({'old': 'new'})"),
    ],
)
def test_a_step_reads_as_it_is_written(step: steps.Step, text: str) -> None:
    assert text == repr(step)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: steps.filter(""), "filter got '' instead of text"),
        (lambda: steps.select([]), "select got no columns"),
        (lambda: steps.drop(["a", "a"]), "names column 'a' twice"),
        (lambda: steps.drop([1]), "drop got 1 as a column"),
        (steps.rename, "rename names no column"),
        (lambda: steps.cast(["a"]), "pass a mapping by column"),
        (steps.fill_missing, "either a mapping of columns or a strategy"),
        (lambda: steps.fill_missing("average"), "strategy is one of mean, median, most_frequent, constant"),
        (lambda: steps.fill_missing(strategy="constant", columns=["a"]), "needs a value"),
        (lambda: steps.fill_missing(strategy="mean", value=1), "takes no value"),
        (lambda: steps.fill_missing(strategy="constant", value=1), "needs columns"),
        (lambda: steps.encode("a", "hash"), "method is one of onehot, ordinal"),
        (lambda: steps.encode("a", max_categories=1), "no whole number from 2 up"),
        (lambda: steps.scale("a", "log"), "method is one of standard, minmax, robust"),
        (lambda: steps.split(1.5), "pass a share between 0 and 1"),
        (lambda: steps.split(by="a", group="b"), "not by and group"),
        (lambda: steps.split(test_from="2020-01-01"), "needs time="),
        (lambda: steps.function(3), "not callable"),
        (lambda: steps.transform(object()), "no scikit-learn transformer"),
    ],
)
def test_a_wrong_argument_is_told_where_it_is_written(make: Any, part: str) -> None:
    assert part in refusal(make)
