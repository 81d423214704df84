"""``mltemporal versions``: list, deploy, promote, roll back and retire builds of the workflow code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mltemporal.settings import process_settings

if TYPE_CHECKING:
    from mltemporal.deployments.rollout import Rollout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and what each of them takes."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    parser.set_defaults(action=_list)

    def add(name: str, action: Callable[[Rollout, argparse.Namespace], Awaitable[None]], text: str) -> (
        argparse.ArgumentParser
    ):  # fmt: skip
        command = actions.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(action=action)
        return command

    add("list", _list, "list them: where new jobs go, what runs on each (the default)")
    deploy = add("deploy", _deploy, "start a worker of this code beside the others, once histories fit it")
    deploy.add_argument("--manifest", action="store_true", help="print a Kubernetes Deployment instead")
    deploy.add_argument("--image", help="of the Deployment; default: MLTEMPORAL_IMAGE")
    promote = add("promote", _promote, "send new jobs to a build")
    promote.add_argument("build", nargs="?", metavar="BUILD", help="default: that of this code")
    promote.add_argument(
        "--ramp", type=int, choices=(5, 50, 100), default=100, help="per cent of new jobs (default: 100)"
    )
    add("rollback", _rollback, "end the ramp, or send new jobs to the build before")
    retire = add("retire", _retire, "remove a build that nothing runs on any more")
    retire.add_argument("build", metavar="BUILD")


def versions(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    import asyncio

    async def act() -> None:
        from mltemporal.deployments.rollout import opened

        async with opened(process_settings()) as rollout:
            await arguments.action(rollout, arguments)

    asyncio.run(act())
    return 0


async def _list(rollout: Rollout, _: argparse.Namespace) -> None:
    from mltemporal.deployments.board import board

    print(await board(rollout))


async def _deploy(rollout: Rollout, arguments: argparse.Namespace) -> None:
    if not arguments.manifest:
        await rollout.deploy(print)
        return
    from mltemporal.deployments.build import build_id
    from mltemporal.deployments.manifest import worker_manifest

    manifest = worker_manifest(build_id(), arguments.image or process_settings().image or "mltemporal/job")
    count = await rollout.check()
    print(f"{count} recent workflows replay on build {build_id()}", file=sys.stderr)
    print(manifest, end="")


async def _promote(rollout: Rollout, arguments: argparse.Namespace) -> None:
    await rollout.promote(arguments.build, arguments.ramp, print)


async def _rollback(rollout: Rollout, _: argparse.Namespace) -> None:
    await rollout.rollback(print)


async def _retire(rollout: Rollout, arguments: argparse.Namespace) -> None:
    await rollout.retire(arguments.build, print)
