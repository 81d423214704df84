"""The body of a cell as a function, for ``%%train``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.error import UsageError

NAME = "cell"
"""What the function is called in tracebacks and in the history."""


def function_from_cell(body: str, params: Iterable[str], shell: Any) -> Callable[..., Any]:
    """Return ``body`` as a function of ``data`` and the keywords ``params``, with the notebook's globals.

    It returns what a ``return`` in it returns, else the value of its last expression, else the
    variable ``model``. Its lines keep their numbers, so a traceback points into the cell.

    Raises:
        UsageError: the body is no Python, or has nothing to return.
    """
    try:
        tree = ast.parse(body)
    except SyntaxError as error:
        raise UsageError(f"line {error.lineno} of the cell is no Python: {error.msg}") from error
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.copy_location(ast.Return(last.value), last)
    elif _assigns(tree, "model"):
        tree.body.append(ast.Return(ast.Name("model", ast.Load())))
    elif not any(isinstance(node, ast.Return) for node in ast.walk(tree)):
        raise UsageError("the cell has no result: end it with an expression, or assign to `model`")
    function = ast.parse(f"def {NAME}({', '.join(['data', *params])}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = tree.body
    module = ast.fix_missing_locations(ast.Module([function], type_ignores=[]))
    namespace: dict[str, Any] = {}
    code = compile(module, shell.compile.cache(body), "exec")
    exec(code, shell.user_ns, namespace)  # noqa: S102  (the user's own cell)
    made: Callable[..., Any] = namespace[NAME]
    return made


def _assigns(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(tree)
    )
