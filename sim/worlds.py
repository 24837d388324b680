"""The worlds by the names that ``--world`` takes; a world's library is imported when one is made."""

from __future__ import annotations

from fleet.errors import ConfigError
from sim.world import World

WORLDS = ("bullet", "kinematic")


def make_world(name: str) -> World:
    """A fresh world by name.

    Raises
    ------
    ConfigError
        No such world, or its library is not installed.
    """
    if name == "bullet":
        from sim.bullet_world import BulletWorld

        return BulletWorld()
    if name == "kinematic":
        from sim.kinematic_world import KinematicWorld

        return KinematicWorld()
    raise ConfigError(f"no world named {name!r}; known: {', '.join(WORLDS)}")
