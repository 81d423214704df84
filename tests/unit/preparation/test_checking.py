from typing import Any

import pytest
from sklearn.preprocessing import StandardScaler

from mltemporal import steps
from mltemporal.errors import InvalidRequest
from mltemporal.preparation.checking import parse_steps
from mltemporal.preparation.plan import Plan
from mltemporal.specs.data import Column

COLUMNS = [
    Column(name="age", type="int64"),
    Column(name="weight", type="double"),
    Column(name="city", type="dictionary<values=string, indices=int8, ordered=0>"),
    Column(name="day", type="timestamp[us, tz=Europe/Berlin]"),
    Column(name="label", type="string"),
    Column(name="tags", type="list<item: struct<a: int64>>"),
]


def parsed(planned: Any, **options: Any) -> Plan:
    return parse_steps(planned, columns=COLUMNS, **options)


def refusal(planned: Any, **options: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parsed(planned, **options)
    return str(caught.value)


def types_after(planned: Any) -> dict[str, str]:
    columns = parsed(planned).columns_after
    assert columns is not None
    return {column.name: column.type for column in columns}


def tidy(frame: Any) -> Any:
    return frame


def test_steps_may_be_names_dicts_functions_and_transformers() -> None:
    plan = parsed(
        [
            "drop_duplicates",
            {"filter": "age > 1"},
            {"split": {"by": "age"}},
            {"fill_missing": {"age": 0}},
            tidy,
            StandardScaler(),
        ]
    )
    assert (
        "drop_duplicates()",
        "filter('age > 1')",
        "split(by=['age'])",
        "fill_missing({'age': 0})",
        "tidy()",
        "transform(StandardScaler())",
    ) == plan.steps_in_words


def test_one_step_needs_no_list_and_no_step_is_a_plan_too() -> None:
    assert ("filter('age > 1')",) == parsed(steps.filter("age > 1")).steps_in_words
    assert () == parsed(None).steps_in_words


@pytest.mark.parametrize(
    ("planned", "part"),
    [
        (["drop_duplicate"], "did you mean 'drop_duplicates'?"),
        (["frobnicate"], "there are 'drop_missing', 'fill_missing'"),
        (["filter"], "missing a required argument: 'condition'"),
        ([{"scale": {"column": "age"}}], "it is called as scale(columns, method='standard')"),
        ([{"filter": "age > 1", "drop": "age"}], "a dict names one step"),
        ([3], "3 is no step"),
        ([StandardScaler], "pass an instance with fit and transform"),
        ([steps.drop(["agee"])], "did you mean 'age'?"),
        ([steps.filter("agee > 1")], "did you mean 'age'?"),
        ([steps.drop(["age"]), steps.filter("age > 1")], "'age' in 'age > 1' is not a column"),
        ([steps.filter("city > 1 + day")], "filter('city > 1 + day') does not fit the columns"),
        ([steps.filter("lower(age) = 'x'")], "columns are age BIGINT"),
        ([steps.cast({"age": "integr"})], "did you mean 'integer'"),
        ([steps.fill_missing({"city": "mean"})], "which has no mean"),
        ([steps.fill_missing({"age": "unknown"})], "Could not convert string 'unknown' to INT64"),
        ([steps.scale("city")], "is no number"),
        ([steps.split(time="city")], "has no order in time"),
        ([steps.split(time="day", test_from="yesterday")], "yesterday"),
        ([steps.split(by="weigth")], "did you mean 'weight'?"),
        ([steps.rename(age="weight")], "since SQL ignores capitals"),
        ([steps.derive(AGE="1", Weight="2")], "since SQL ignores capitals"),
        ([steps.derive(__mlt_test="true")], "names that begin with '__mlt_' are ours"),
        ([steps.filter("__mlt_test")], "'__mlt_test' in '__mlt_test' is not a column"),
        ([steps.split(), steps.split(0.3)], "the rows are split already"),
        ([tidy, steps.fill_missing("mean")], "name the columns"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(planned: Any, part: str) -> None:
    assert part in refusal(planned)


@pytest.mark.parametrize(
    ("planned", "part"),
    [
        ([steps.encode("city"), steps.split()], "move the split before it"),
        ([steps.scale("age"), steps.split()], "the test rows would leak into the training part"),
        ([steps.fill_missing({"age": "mean"}), steps.split()], "stands before split()"),
        ([StandardScaler(), steps.split()], "transform(StandardScaler()) learns from all rows"),
        ([steps.encode("label")], "the answer would be among the features"),
        ([steps.transform(StandardScaler(), columns=["label"])], "the answer would be among the features"),
        ([steps.fill_missing({"label": "most_frequent"})], "drop_missing(['label'])"),
        ([steps.drop("label")], "keep the target"),
        ([steps.select("age")], "is not among the columns after the steps"),
    ],
)
def test_leaks_are_refused_with_the_reason_and_what_to_do(planned: Any, part: str) -> None:
    assert part in refusal(planned, target="label")


def test_what_learns_nothing_may_stand_before_the_split() -> None:
    parsed(
        [steps.fill_missing({"age": 0}), steps.drop_missing("day"), "drop_duplicates", tidy, steps.split()]
    )


def test_a_feature_made_of_the_target_is_warned_of() -> None:
    plan = parsed([steps.derive(hint="length(label)")], target="label")
    assert "'hint' is derived from the target 'label'" in plan.notes[0]


def test_learning_without_a_split_is_warned_of() -> None:
    assert "there is no split" in parsed([steps.scale("age")]).notes[0]
    assert () == parsed([steps.split(), steps.scale("age")]).notes


def test_filling_every_column_leaves_the_target_alone() -> None:
    (step,) = parsed([steps.fill_missing("mean")], target="weight").steps
    assert ("age",) == step.columns  # type: ignore[attr-defined]


def test_a_test_size_splits_first() -> None:
    plan = parsed([steps.scale("age")], test_size=0.25)
    assert ("split(0.25)", "scale(['age'])") == plan.steps_in_words
    assert ("train", "test") == plan.parts
    assert ("dataset",) == parsed(None).parts


def test_a_test_size_beside_a_split_is_refused() -> None:
    assert "leave test_size out" in refusal([steps.split()], test_size=0.2)
    assert "test_size is 2" in refusal(None, test_size=2)


def test_the_columns_after_the_steps_are_known() -> None:
    after = types_after(
        [
            steps.rename(age="years"),
            steps.cast({"years": "int8"}),
            steps.derive(half="weight * 0.5", first="day"),
            steps.fill_missing({"years": "mean"}),
            steps.drop("city"),
        ]
    )
    assert {
        "years": "double",
        "weight": "double",
        "day": "timestamp[us, tz=Europe/Berlin]",
        "label": "string",
        "tags": "list<item: struct<a: int64>>",
        "half": "double",
        "first": "timestamp[us, tz=UTC]",
    } == after


def test_columns_that_only_the_rows_will_tell_are_not_guessed() -> None:
    assert parsed([steps.encode("city"), steps.filter("city_london = 1")]).columns_after is None
    assert parsed([tidy, steps.filter("anything > 1")]).columns_after is None


def test_expressions_are_checked_also_where_the_columns_are_not_known() -> None:
    assert "read_text()" in refusal([tidy, steps.filter("read_text('/etc/passwd') = anything")])


def test_a_dataset_whose_columns_differ_by_capitals_only_is_refused() -> None:
    columns = [Column(name="a", type="int64"), Column(name="A", type="int64")]
    with pytest.raises(InvalidRequest, match="since SQL ignores capitals"):
        parse_steps(None, columns=columns)
