"""The worlds that there are, by the names that they are asked for."""

from __future__ import annotations

from .kernels import MOST_DEATHS
from .world import LIVE, World

__all__ = ["LIVE", "MOST_DEATHS", "WORLDS", "world_of"]

WORLDS = ("laptop", "team")


def world_of(name: str) -> type[World]:
    """Return the world of a name; what it needs is imported now."""
    if name == "team":
        from .team import Team

        return Team
    from .laptop import Laptop

    return Laptop
