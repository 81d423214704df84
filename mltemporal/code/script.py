"""A program of the user's own that trains: ``train(dataset, Script("train.py"))``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltemporal.errors import InvalidTrainer
from mltemporal.patterns import check_patterns

_LONGEST_COMMAND_LINE = 100_000


@dataclass(frozen=True)
class Script:
    """A Python script that a job runs as ``__main__``, with its folder first on ``sys.path``.

    ``metrics`` maps a metric's name to a regular expression with one group that finds it in the
    output, for programs that cannot be changed: ``metrics={"loss": r"loss=(\\S+)"}``.
    """

    path: str | os.PathLike[str]
    args: Sequence[object] = ()
    """Command-line arguments; anything that is no text is turned into it."""
    metrics: Mapping[str, str] | None = None


def script_text(script: Script) -> bytes:
    """Return the script's text, checked to compile.

    Raises:
        InvalidTrainer: it cannot be read, is no Python, or a regular expression of ``metrics`` is wrong.
    """
    path = os.fspath(script.path)
    if not os.path.exists(path):
        raise InvalidTrainer(
            f"script {path!r} does not exist", f"check the path; it is seen from {os.getcwd()!r}"
        )
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise InvalidTrainer(
            f"script {path!r} cannot be read: {error.strerror}", "name a file that you may read"
        ) from error
    try:
        compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise InvalidTrainer(
            f"script {path!r} does not compile: line {error.lineno}: {error.msg}", "correct that line"
        ) from error
    except ValueError as error:  # null bytes
        raise InvalidTrainer(f"script {path!r} is no Python: {error}", "name a Python script") from error
    check_list("args", script.args)
    check_patterns(script.metrics or {})
    return text


def check_list(name: str, values: Sequence[object]) -> None:
    """Refuse one text where a list is meant: it would be taken letter by letter.

    Raises:
        InvalidTrainer: says how to write the list.
    """
    if isinstance(values, str):
        raise InvalidTrainer(f"{name} is one text: {values!r}", f"pass a list: {name}={values.split()!r}")


def arguments(args: Sequence[object], params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command line: the program's own arguments, then ``--name=value`` for each parameter.

    True becomes ``--name``; False and None are left out.

    Raises:
        InvalidTrainer: it is longer than systems take.
    """
    options = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in params.items()
        if value is not None and value is not False
    ]
    line = (*(str(arg) for arg in args), *options)
    if (length := sum(map(len, line))) > _LONGEST_COMMAND_LINE:
        raise InvalidTrainer(
            f"args and params make a command line of {length:,} characters",
            f"give at most {_LONGEST_COMMAND_LINE:,}; put more into a file, or into the dataset",
        )
    return line
