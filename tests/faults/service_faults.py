"""What goes wrong with the S3 server, with PostgreSQL, and on the way to them."""

from __future__ import annotations

import random
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .harm import Taken, a_while, alone
from .team_services import DATABASE

if TYPE_CHECKING:
    from .team import Team


class S3Killed:
    """SIGKILL to the S3 server; it is started again some seconds later, and reached when it is whole."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s, services = rng.uniform(0.0, 8.0), world.services
        with suppress(Taken), alone(world.folder / "s3"):
            services.s3.kill()
            services.to_s3.cut()
            world.healed.wait(for_s)
            services.start_s3()
            services.to_s3.restore()
            return f"for {for_s:.1f} s and its start"
        return ""


class S3Stopped:
    """SIGSTOP to the S3 server for a while."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = a_while(rng)
        with suppress(Taken), alone(world.folder / "s3"):
            world.services.s3.signal(signal.SIGSTOP)
            world.healed.wait(for_s)
            world.services.s3.signal(signal.SIGCONT)
            return f"for {for_s:.1f} s"
        return ""


class S3AnswersCut:
    """The next connections to S3 end in the middle of an answer."""

    def strike(self, world: Team, rng: random.Random) -> str:
        times, after_bytes = rng.randint(1, 8), rng.choice((0, 100, 700, 5_000))
        world.services.to_s3.break_answers(times, after_bytes)
        return f"{times} times after {after_bytes} bytes"


class PostgresKilled:
    """SIGKILL to PostgreSQL; it is started again some seconds later."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = rng.uniform(0.0, 8.0)
        with suppress(Taken), alone(world.folder / "postgres"):
            world.services.postgres.stop(signal.SIGKILL)
            world.healed.wait(for_s)
            world.services.start_postgres()
            return f"for {for_s:.1f} s and its start"
        return ""


class PostgresSessionsEnded:
    """All sessions of the database are terminated, as by an administrator or a failover."""

    def strike(self, world: Team, rng: random.Random) -> str:
        with suppress(Taken), alone(world.folder / "postgres"):
            ended = world.services.postgres.disconnect(DATABASE)
            return f"{ended} of them" if ended else ""
        return ""


@dataclass(frozen=True)
class WayCut:
    """The connections to a service end, and none can be made for a while."""

    service: str
    """``s3`` or ``postgres``."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = a_while(rng)
        with suppress(Taken), alone(world.folder / self.service):
            way = world.services.way(self.service)
            way.cut()
            world.healed.wait(for_s)
            way.restore()
            return f"for {for_s:.1f} s"
        return ""


@dataclass(frozen=True)
class WayHeld:
    """Nothing goes to a service and back for a while, and no connection ends."""

    service: str
    """``s3`` or ``postgres``."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = a_while(rng)
        with suppress(Taken), alone(world.folder / self.service):
            way = world.services.way(self.service)
            way.hold()
            world.healed.wait(for_s)
            way.restore()
            return f"for {for_s:.1f} s"
        return ""
