from collections.abc import Iterator

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.expressions import check_expression
from mltemporal.preparation.functions import ALLOWED


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def refusal(engine: Engine, text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check_expression(engine, text, "filter").columns(["a", "b", "today's"], "filter")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("age > 18 AND city IS NOT NULL", ("age", "city")),
        ("weight / (height * height)", ("weight", "height")),
        ("CASE WHEN a IN (1, 2) THEN lower(b) ELSE 'x' END", ("a", "b")),
        ("a BETWEEN 1 AND 2 -- as agreed", ("a",)),
        ("TRY_CAST(a AS INTEGER) IS NOT NULL", ("a",)),
        ("extract(year FROM day) = 2020 AND day > TIMESTAMP '2020-01-01' + INTERVAL 3 DAY", ("day",)),
        ("coalesce(a, 0) % 2 = 0 AND NOT b LIKE '%x' AND point.x > 1", ("a", "b", "point")),
        ("\"a column\" ~ '^x'", ("a column",)),
        ("{'k': a}.k + [1, 2][1]", ("a",)),
    ],
)
def test_scalar_expressions_over_columns_are_allowed(
    engine: Engine, text: str, names: tuple[str, ...]
) -> None:
    assert set(names) == set(check_expression(engine, text, "filter").names)


@pytest.mark.parametrize(
    "text",
    [
        "a > (SELECT 1)",
        "EXISTS (SELECT 1)",
        "a IN (SELECT 1)",
        "a = ANY (SELECT 1)",
        "{'k': (SELECT 1)}.k = 1",
        "row_number() OVER () < 3",
        "a > ?",
        "a > $1",
        "a > $limit",
        "COLUMNS(*) > 1",
        "*",
        "#1 > 1",
        "list_transform([a], x -> x + 1)[1] > 1",
        "read_text('/etc/passwd') = 'x'",
        "getenv('HOME') = 'x'",
        "current_setting('home_directory') = 'x'",
        "getvariable('x') = 1",
        "nextval('x') > 1",
        "error('x')",
        "query('select 1')",
        "json_execute_serialized_sql('x')",
        "unnest([1]) = 1",
        "hash(a) > 1",
        "main.lower(a) = 'x'",
        "system.main.lower(a) = 'x'",
        "a > 1 FROM t",
        "a > 1; DROP TABLE t",
        "a > 1 LIMIT 1",
        "a > 1 ORDER BY a",
        "DISTINCT a",
        "a > 1, b > 1",
        "a > 1 AS c",
        "count(*) > 1",
        "sum(a) FILTER (WHERE b > 1) > 1",
        "a > 1 UNION SELECT true",
    ],
)
def test_anything_else_is_refused_and_named(engine: Engine, text: str) -> None:
    assert f"{text!r} " in refusal(engine, text)


@pytest.mark.parametrize("text", ["a >", "a > 1)", "1) FROM x; --", "SELECT 1", "", "at > 1", "'", "a /*"])
def test_what_does_not_parse_is_refused(engine: Engine, text: str) -> None:
    assert refusal(engine, text).startswith("filter: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("random() < 0.5", "another value each time"),
        ("a > now()", "another value each time"),
        ("a > CURRENT_DATE", "another value each time"),
        ("age(a) > INTERVAL 3 DAY", "another value each time"),
        ("a > avg(a)", "looks at many rows at once"),
        ("aa > 1", "did you mean 'a'?"),
        ("zzz > 1", "there are 'a', 'b', \"today's\""),
        ('a > "some text"', "'in single quotes'"),
    ],
)
def test_the_reason_is_told(engine: Engine, text: str, reason: str) -> None:
    assert reason in refusal(engine, text)


def test_columns_are_found_whatever_their_capitals(engine: Engine) -> None:
    assert {"Age"} == check_expression(engine, "AGE > 1", "filter").columns(["Age", "b"], "filter")


def test_a_column_may_be_called_like_a_word_of_the_clock(engine: Engine) -> None:
    assert {"today"} == check_expression(engine, "today > 1", "filter").columns(["today"], "filter")


def test_no_allowed_function_gives_another_value_tomorrow(engine: Engine) -> None:
    rows = engine.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
    )
    assert set() == {name for (name,) in rows} & ALLOWED


def test_no_allowed_function_looks_at_many_rows(engine: Engine) -> None:
    rows = engine.execute(
        "SELECT function_name FROM duckdb_functions() WHERE function_type NOT IN ('scalar', 'macro') "
        "EXCEPT SELECT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'macro')"
    )
    assert set() == {name for (name,) in rows} & ALLOWED
