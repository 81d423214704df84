"""The magics: they parse and hand on."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import ast
import subprocess
import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from mltemporal.notebook.cell_function import function_from_cell
from mltemporal.notebook.completion import STACK_COMMANDS


@magics_class
class MLTemporalMagics(Magics):  # type: ignore[misc]
    """``%mltemporal``, ``%jobs`` and ``%%train``."""

    @line_magic("mltemporal")
    def stack(self, line: str) -> object:
        """``%mltemporal status|up|down|doctor|versions``: look after the services behind the notebook."""
        from mltemporal.settings import process_settings
        from mltemporal.stack import down, status, up

        command = line.strip() or "status"
        if command not in STACK_COMMANDS:
            raise UsageError(f"%mltemporal knows {', '.join(STACK_COMMANDS)}, not {command!r}")
        settings = process_settings()
        if command == "up":
            return up(settings, tell=print)
        if command == "down":
            print("stopped" if down(settings) else "nothing was running")  # noqa: T201
            return None
        if command == "versions":
            from mltemporal.deployments.board import versions

            return versions()
        if command == "doctor":
            # in a process of its own: it looks at what a fresh interpreter finds
            subprocess.run([sys.executable, "-m", "mltemporal.cli", "doctor"], check=False)
            return None
        return status(settings)

    @magic_arguments()
    @argument("--limit", type=int, default=20, help="how many of the latest jobs (default 20)")
    @line_magic
    def jobs(self, line: str) -> object:
        """List the latest jobs."""
        arguments = parse_argstring(self.jobs, line)
        from mltemporal import lookup

        return lookup.jobs(limit=arguments.limit)

    @magic_arguments()
    @argument("dataset", nargs="+", help="an expression: a table, a path, or a registered dataset's name")
    @argument("--target", help="the column to predict")
    @argument("--name", help="the job's name")
    @argument(
        "--params", nargs="+", default=[], help="variables of the cell, e.g. --params alpha=0.1 depth=3"
    )
    @argument("--backend", help="where it runs")
    @argument("--timeout", help="e.g. 90s, 15m, 24h")
    @argument("--force", action="store_true", help="start another, though this cell's job still runs")
    @argument("--as", dest="variable", default="job", help="the variable for the handle (default: job)")
    @cell_magic
    def train(self, line: str, cell: str) -> None:
        """Train with the cell's body: a function with ``data`` in scope.

        The result is what the body returns: by ``return``, or the value of its last expression,
        or else the variable ``model``. Names of the notebook come along by value.
        """
        from mltemporal import api

        arguments = parse_argstring(self.train, line)
        params = dict(_pair(text) for text in arguments.params)
        given = {
            name: getattr(arguments, name)
            for name in ("target", "name", "backend", "timeout")
            if getattr(arguments, name) is not None
        }
        fit = function_from_cell(cell, params, self.shell)
        dataset = self._evaluate(" ".join(arguments.dataset))
        job = api.train(dataset, fit, params=params, force=arguments.force, **given)
        self.shell.push({arguments.variable: job})

    def _evaluate(self, expression: str) -> object:
        try:
            return self.shell.ev(expression)
        except (NameError, SyntaxError):
            return expression  # no expression: a path or a registered name, which train() looks up


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise UsageError(f"--params takes name=value, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
