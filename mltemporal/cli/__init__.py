"""The ``mltemporal`` command: the stack, the worker and the record of runs, from a shell.

Exit codes: 0 well, 1 something is wrong (said in words, without a traceback), 2 wrong usage,
130 interrupted. What a sub-command needs is loaded when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mltemporal.cli.keys import add_arguments as add_key_arguments
from mltemporal.cli.versions import add_arguments as add_version_arguments
from mltemporal.errors import MLTemporalError
from mltemporal.version import __version__

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` (by default the process's arguments) names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    run: Command = arguments.run
    try:
        return run(arguments)
    except MLTemporalError as error:
        print(f"mltemporal: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mltemporal: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader, `head` say, has seen enough
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mltemporal",
        description="Durable machine-learning jobs from a notebook cell.",
        epilog="MLTEMPORAL_HOME says where everything lies; TEMPORAL_ADDRESS names a Temporal of your own.",
    )
    parser.add_argument("--version", action="version", version=f"mltemporal {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(run=run)
        return command

    add("up", _up, "start the embedded services, or find them running")
    add("down", _down, "stop the embedded services; trainings run on")
    add("status", _status, "show where everything is and who works")
    add("worker", _worker, "run a worker in the foreground")
    add("doctor", _doctor, "check each part and say what to do about what is wrong")
    add("demo", _demo, "run the first tutorial notebook and show its result")
    runs = add("runs", _runs, "list the latest runs")
    runs.add_argument("--limit", type=_count, default=20, metavar="N", help="how many at most (default: 20)")
    database = add("db", _db, "show or upgrade the schema of the database")
    database.add_argument("action", choices=["status", "upgrade"])
    replay = add(
        "replay", _replay, "replay recent workflows on this code: exit code 1 where one does not fit"
    )
    replay.add_argument(
        "--limit", type=_count, default=200, metavar="N", help="how many at most (default: 200)"
    )
    replay.add_argument("--job", type=_count, metavar="ID", help="only those of one job")
    versions = add("versions", _versions, "list, deploy, promote and retire builds of the workflow code")
    add_version_arguments(versions)
    keys = add("keys", _keys, "create, list, rotate and retire the keys that seal what Temporal sees")
    add_key_arguments(keys)
    codec = add("codec-server", _codec_server, "open sealed payloads for Temporal's Web UI")
    codec.add_argument("--port", type=_count, default=0, help="default: a free one")
    codec.add_argument("--web-ui", metavar="URL", help="whose pages may ask; default: as `mltemporal status`")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _up(_: argparse.Namespace) -> int:
    from mltemporal.cli.services import up

    return up()


def _down(_: argparse.Namespace) -> int:
    from mltemporal.cli.services import down

    return down()


def _status(_: argparse.Namespace) -> int:
    from mltemporal.cli.services import status

    return status()


def _worker(_: argparse.Namespace) -> int:
    from mltemporal.worker import main as run_worker

    return run_worker([])


def _doctor(_: argparse.Namespace) -> int:
    from mltemporal.cli.services import doctor

    return doctor()


def _demo(_: argparse.Namespace) -> int:
    from mltemporal.cli.demo import demo

    return demo()


def _runs(arguments: argparse.Namespace) -> int:
    from mltemporal.cli.runs import runs

    return runs(arguments.limit)


def _db(arguments: argparse.Namespace) -> int:
    from mltemporal.cli import database

    return database.upgrade() if arguments.action == "upgrade" else database.status()


def _replay(arguments: argparse.Namespace) -> int:
    from mltemporal.cli.replay import replay

    return replay(arguments.limit, arguments.job)


def _versions(arguments: argparse.Namespace) -> int:
    from mltemporal.cli.versions import versions

    return versions(arguments)


def _keys(arguments: argparse.Namespace) -> int:
    from mltemporal.cli.keys import keys

    return keys(arguments)


def _codec_server(arguments: argparse.Namespace) -> int:
    from mltemporal.cli.keys import codec_server

    return codec_server(arguments.port, arguments.web_ui)
