"""What goes wrong with a cluster: its pods, its nodes, its API server."""

from __future__ import annotations

import random
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .harm import Taken, a_while, alone, one_of
from .team_services import NAMESPACE, NODES

if TYPE_CHECKING:
    from .team import Team


@dataclass(frozen=True)
class PodGoes:
    """A pod is evicted by an administrator or by a node short of memory, preempted, or deleted."""

    how: str
    """``evicted``, ``preempted`` or ``deleted``."""

    def strike(self, world: Team, rng: random.Random) -> str:
        chosen = one_of(world.trainings(), rng)
        if chosen is None:
            return ""
        cluster = world.services.cluster
        if self.how == "evicted":
            by = rng.choice(("api", "kubelet"))
            return "" if cluster.call("evict", chosen.name, NAMESPACE, by=by) else f"{chosen.name} by {by}"
        if self.how == "preempted":
            return "" if cluster.call("preempt", chosen.name, NAMESPACE) else chosen.name
        grace_s = rng.choice((0, 1, 30))
        options = {"gracePeriodSeconds": grace_s}
        refused = cluster.call("delete", "pods", NAMESPACE, chosen.name, options)
        return "" if refused else f"{chosen.name} with {grace_s} s"


class JobDeleted:
    """Somebody deletes an attempt's Job."""

    def strike(self, world: Team, rng: random.Random) -> str:
        chosen = one_of(world.trainings(), rng)
        how = rng.choice(("Background", "Foreground"))
        if chosen is None:
            return ""
        name, options = f"{chosen.key}-{chosen.attempt}", {"propagationPolicy": how}
        refused = world.services.cluster.call("delete", "jobs", NAMESPACE, name, options)
        return "" if refused else f"{name} in the {how.lower()}"


class NodeGone:
    """A node falls silent and comes back, or is taken away and another one comes."""

    def strike(self, world: Team, rng: random.Random) -> str:
        node, for_s, silent = rng.choice(NODES), a_while(rng), rng.random() < 0.6
        cluster = world.services.cluster
        with suppress(Taken), alone(world.folder / "nodes"):
            cluster.call("lose_node" if silent else "remove_node", node)
            world.healed.wait(for_s)
            if silent:
                cluster.call("recover_node", node)
            else:
                world.services.add_node(node)
            return f"{node} {'silent' if silent else 'removed'} for {for_s:.1f} s"
        return ""


class ApiStopped:
    """SIGSTOP to the API server and all controllers for a while; pods run on."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = a_while(rng)
        with suppress(Taken), alone(world.folder / "api"):
            world.services.cluster.signal(signal.SIGSTOP)
            world.healed.wait(for_s)
            world.services.cluster.signal(signal.SIGCONT)
            return f"for {for_s:.1f} s"
        return ""


class ApiRestarted:
    """The API server is away for a while, and has forgotten the past when it comes back."""

    def strike(self, world: Team, rng: random.Random) -> str:
        for_s = rng.uniform(0.0, 6.0)
        with suppress(Taken), alone(world.folder / "api"):
            world.services.cluster.call("restart", for_s)
            return f"after {for_s:.1f} s"
        return ""


class WatchesCut:
    """All watches and followed logs end; at times what was seen last is too old to go on at."""

    def strike(self, world: Team, rng: random.Random) -> str:
        too_old = rng.random() < 0.4
        if too_old:
            world.services.cluster.call("compact")
        world.services.cluster.call("drop_connections")
        return "and compacted" if too_old else "at once"


class AnswerLost:
    """The next request of a kind is done, and its connection cut instead of an answer."""

    def strike(self, world: Team, rng: random.Random) -> str:
        verb, resource = rng.choice(
            (("create", "jobs"), ("patch", "jobs"), ("delete", "jobs"), ("list", "pods"), ("list", "jobs"))
        )
        world.services.cluster.call("lose_next_answer", verb, resource)
        return f"{verb} {resource}"


class ApiRefuses:
    """The next requests are answered by an error of the server."""

    def strike(self, world: Team, rng: random.Random) -> str:
        times, status = rng.randint(1, 12), rng.choice((429, 500, 503))
        world.services.cluster.call("fail_next", times, status)
        return f"{times} times {status}"


class ApiSlow:
    """Every answer of the API server is late for a while."""

    def strike(self, world: Team, rng: random.Random) -> str:
        by_s, for_s = rng.uniform(0.2, 4.0), a_while(rng)
        with suppress(Taken), alone(world.folder / "latency"):
            world.services.cluster.set("latency_s", by_s)
            world.healed.wait(for_s)
            world.services.cluster.set("latency_s", 0.0)
            return f"by {by_s:.1f} s for {for_s:.1f} s"
        return ""
