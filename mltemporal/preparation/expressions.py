"""SQL expressions that people write: parsed by DuckDB, and refused unless every part of them is allowed.

What is allowed is a scalar expression over the row's own columns: the kinds of nodes in `_NODES`, and the
functions in `functions.ALLOWED`. No subquery, no table, no parameter, no window, no aggregate.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.functions import ALLOWED, CLOCK_AND_CHANCE, ROWS_TOGETHER
from mltemporal.preparation.naming import HIDDEN, shown, unknown

_NODES = frozenset(
    [
        "COLUMN_REF",
        "CONSTANT",
        "COMPARISON",
        "CONJUNCTION",
        "OPERATOR",
        "BETWEEN",
        "CASE",
        "CAST",
        "FUNCTION",
        "TYPE",
        "COLLATE",
    ]
)
_REFUSED = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "STAR": "a star",
    "LAMBDA": "a lambda function",
    "POSITIONAL_REFERENCE": "a column by its position",
    "DEFAULT": "DEFAULT",
}
_LONGEST = 20_000
_DEEPEST = 200
_ALLOWED_IN_WORDS = "use operators, CASE, CAST and scalar functions over the row's own columns"


@dataclass(frozen=True)
class Expression:
    """An expression that is allowed."""

    text: str
    names: tuple[str, ...]
    """The columns that it speaks of, as it writes them: SQL does not tell ``Age`` from ``age``."""

    def columns(self, known: Collection[str], where: str) -> frozenset[str]:
        """Return which of the ``known`` columns it reads.

        Raises:
            InvalidRequest: it reads one that is not known; ``where`` says which step.
        """
        lowered = {name.lower(): name for name in known if not name.startswith(HIDDEN)}
        for name in self.names:
            if name.lower() in CLOCK_AND_CHANCE and name.lower() not in lowered:
                raise _another_each_time(where, self.text, name)
            if name.lower() not in lowered:
                hint = " (text is written 'in single quotes')" if " " in name else ""
                raise unknown(
                    f"{where}: {name!r} in {shown(self.text)!r} is not a column{hint}", name, lowered.values()
                )
        return frozenset(lowered[name.lower()] for name in self.names)


def check_expression(engine: Engine, text: str, where: str) -> Expression:
    """Parse an expression, and refuse what is more than a scalar expression over columns.

    Raises:
        InvalidRequest: it does not parse, or has a part that is not allowed; ``where`` says which step.
    """
    if len(text) > _LONGEST:
        raise InvalidRequest(
            f"{where}: an expression of {len(text):,} characters", f"use at most {_LONGEST:,}"
        )
    names = dict.fromkeys(_checked(_parsed(engine, text, where), text, where, 0))
    return Expression(text, tuple(names))


def _parsed(engine: Engine, text: str, where: str) -> Any:
    """Return the one expression as DuckDB's own tree."""
    tree = json.loads(engine.execute("SELECT json_serialize_sql(?)", [f"SELECT {text}\n"])[0][0])
    if tree.get("error"):
        reason = str(tree.get("error_message", "")).splitlines()[0]
        raise InvalidRequest(
            f"{where}: {shown(text)!r} does not parse as a SQL expression: {reason}",
            "put names that are no plain words, or SQL words (at), in double quotes, and text in single",
        )
    if len(tree["statements"]) != 1:
        raise _refused(where, text, "several statements")
    node = tree["statements"][0]["node"]
    alone = (
        node["type"] == "SELECT_NODE"
        and not node["modifiers"]
        and not node["cte_map"]["map"]
        and node["from_table"]["type"] == "EMPTY"
        and not any(
            node[part] for part in ("where_clause", "group_expressions", "having", "qualify", "sample")
        )
    )
    if not alone:
        raise _refused(where, text, "a whole query")
    if len(node["select_list"]) != 1 or node["select_list"][0].get("alias"):
        raise _refused(where, text, "several expressions, or a name for one")
    return node["select_list"][0]


def _checked(node: Any, text: str, where: str, depth: int) -> Iterator[str]:
    """Yield the names of the columns below ``node``."""
    if depth > _DEEPEST:
        raise _refused(where, text, "an expression of too many levels")
    if isinstance(node, list):
        for part in node:
            yield from _checked(part, text, where, depth + 1)
    elif isinstance(node, dict):
        kind = node.get("class")
        if kind is not None and kind not in _NODES:
            raise _refused(where, text, _REFUSED.get(kind, f"a node of kind {kind}"))
        if kind == "COLUMN_REF":
            yield node["column_names"][0]
            return
        if kind == "FUNCTION":
            _check_function(node, text, where)
        elif kind is None and ("select_list" in node or "from_table" in node):
            raise _refused(where, text, "a subquery")
        for part in node.values():
            yield from _checked(part, text, where, depth + 1)


def _check_function(node: dict[str, Any], text: str, where: str) -> None:
    name = str(node["function_name"]).lower()
    clock = name == "age" and len(node.get("arguments", ())) == 1  # since today, with one argument
    if name in CLOCK_AND_CHANCE or clock:
        raise _another_each_time(where, text, f"{name}()")
    if name in ROWS_TOGETHER or node.get("filter") or node.get("distinct") or node.get("export_state"):
        raise InvalidRequest(
            f"{where}: {shown(text)!r} calls {name}(), which looks at many rows at once",
            "expressions see one row at a time; fill_missing, scale and encode learn from all rows",
        )
    plain = len(node.get("qualified_name", {}).get("path", [name])) == 1 and not node.get("schema")
    if name not in ALLOWED or not plain:
        raise _refused(where, text, f"{name}()")
    if (node.get("order_bys") or {}).get("orders"):
        raise _refused(where, text, "ORDER BY")


def _another_each_time(where: str, text: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{where}: {shown(text)!r} uses {what}, which gives another value each time",
        "write the value itself: a step that runs again must give the same rows",
    )


def _refused(where: str, text: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where}: {shown(text)!r} uses {what}, which is not allowed", _ALLOWED_IN_WORDS)
