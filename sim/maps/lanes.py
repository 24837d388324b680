"""The lanelet graph: directed pieces of lane, what follows what, and ways through them.

A *chain* is a tuple of lanelet ids in driving order, each a successor of the one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NOT_FOR_VEHICLES = frozenset({"sidewalk", "crosswalk", "parking", "restricted"})
"""Lanelet types on which no path runs; bicycle lanes are left to bicycles by ``LaneGraph.drivable``."""


@dataclass(frozen=True, slots=True)
class Lanelet:
    """One piece of lane between two bounds of equal point count, in driving direction.

    ``left``, ``right``: float64 [point, 2], metres in W. Links name only lanelets of the same map.
    """

    lanelet_id: int
    left: Floats
    right: Floats
    successors: tuple[int, ...]
    predecessors: tuple[int, ...]
    adjacent_left: int | None
    """The neighbour to the left that runs in the same direction."""
    adjacent_right: int | None
    limit_mps: float
    types: tuple[str, ...] = ()

    @property
    def center(self) -> Floats:
        """Centre line, float64 [point, 2]."""
        return 0.5 * (self.left + self.right)

    @property
    def half_width_m(self) -> Floats:
        """Half of the distance between paired bound points, float64 [point]."""
        return 0.5 * np.hypot(*(self.left - self.right).T)

    @property
    def outline(self) -> tuple[tuple[float, float], ...]:
        """Closed ring around the lanelet."""
        ring = np.concatenate((self.left, self.right[::-1], self.left[:1]))
        return tuple((float(x), float(y)) for x, y in ring)

    @property
    def length_m(self) -> float:
        return float(np.hypot(*np.diff(self.center, axis=0).T).sum())


def heading(line: Floats, *, at_end: bool) -> float:
    """Direction of a polyline at its start or end over at least 5 % of its length, radians."""
    points = line[::-1] if at_end else line
    away = np.hypot(*(points - points[0]).T)
    far = int(np.argmax(away >= 0.05 * float(away.max()))) or len(points) - 1
    dx, dy = (points[0] - points[far]) if at_end else (points[far] - points[0])
    return math.atan2(dy, dx)


def _swerve(line: Floats) -> float:
    """How much of a line's bending cancels out, radians; 0 for an arc."""
    yaw = np.unwrap(np.arctan2(*np.diff(line, axis=0).T[::-1]))
    return float(np.abs(np.diff(yaw)).sum() - abs(yaw[-1] - yaw[0]))


def turn(from_rad: float, to_rad: float) -> float:
    """Signed change of heading in [-pi, pi]."""
    return math.remainder(to_rad - from_rad, math.tau)


def link(lanelets: Mapping[int, Lanelet], *, reach_m: float) -> dict[int, Lanelet]:
    """Make links mutual, and infer missing ones from geometry.

    Files from the real world often lack a successor where one lanelet plainly goes on in another: an
    end without successors is linked to starts within ``reach_m`` whose heading differs by at most 30
    degrees. Neighbours are kept only if they run in the same direction.
    """
    ahead: dict[int, set[int]] = {key: set(lanelet.successors) for key, lanelet in lanelets.items()}
    for key, lanelet in lanelets.items():
        for before in lanelet.predecessors:
            if before in ahead:
                ahead[before].add(key)
    starts = {key: (lanelet.center[0], heading(lanelet.center, at_end=False)) for key, lanelet in lanelets.items()}
    for key in sorted(lanelets):
        if ahead[key]:
            continue
        end, yaw = lanelets[key].center[-1], heading(lanelets[key].center, at_end=True)
        for other, (start, yaw_start) in starts.items():
            near = math.hypot(*(start - end)) <= reach_m
            if other != key and near and abs(turn(yaw, yaw_start)) <= math.radians(30.0):
                ahead[key].add(other)
    behind: dict[int, set[int]] = {key: set() for key in lanelets}
    for key, following in ahead.items():
        following.intersection_update(lanelets)
        following.discard(key)
        for other in following:
            behind[other].add(key)
    return {
        key: replace(lanelet, successors=tuple(sorted(ahead[key])), predecessors=tuple(sorted(behind[key])))
        for key, lanelet in sorted(lanelets.items())
    }


@dataclass(frozen=True, slots=True)
class LaneGraph:
    """Questions about ways through a map. All answers are deterministic: ties go to the lower id."""

    lanelets: Mapping[int, Lanelet]

    def drivable(self, lanelet_id: int, kind: str = "car") -> bool:
        types = self.lanelets[lanelet_id].types
        if any(name in NOT_FOR_VEHICLES for name in types):
            return False
        return kind == "bicycle" or types != ("bicycleLane",)

    def straightest(self, lanelet_id: int, *, forward: bool = True, avoid: frozenset[int] = frozenset()) -> int | None:
        """The successor (or predecessor) that bends least over its whole length; None at an end.

        Of two that bend alike, the one that keeps its lane: one that swerves to the next lane bends back.
        """
        here = self.lanelets[lanelet_id].center
        yaw = heading(here, at_end=forward)
        options = self.lanelets[lanelet_id].successors if forward else self.lanelets[lanelet_id].predecessors
        scored = []
        for other in options:
            if other in avoid or not self.drivable(other):
                continue
            line = self.lanelets[other].center
            near = abs(turn(yaw, heading(line, at_end=not forward)))
            far = abs(turn(yaw, heading(line, at_end=forward)))
            scored.append((near + far + 0.5 * _swerve(line), other))
        return min(scored)[1] if scored else None

    def onward(self, chain: tuple[int, ...], *, beyond_m: float) -> tuple[int, ...]:
        """``chain`` and the straightest successors to an exit of the map, at most ``beyond_m`` longer.

        It ends before a lanelet that it has already used, so a circuit is driven once.
        """
        result, length = list(chain), 0.0
        while length < beyond_m:
            following = self.straightest(result[-1], avoid=frozenset(result))
            if following is None:
                break
            result.append(following)
            length += self.lanelets[following].length_m
        return tuple(result)

    def backward(self, chain: tuple[int, ...], *, behind_m: float) -> tuple[int, ...]:
        """``chain`` with straightest predecessors in front, until they add at least ``behind_m``."""
        result, length = list(chain), 0.0
        while length < behind_m:
            before = self.straightest(result[0], forward=False, avoid=frozenset(result))
            if before is None:
                break
            result.insert(0, before)
            length += self.lanelets[before].length_m
        return tuple(result)

    def between(self, start: int, goal: int, *, hops: int = 6) -> tuple[int, ...] | None:
        """The chain of at most ``hops`` steps with the fewest lanelets, both ends included; None if there is none."""
        front: list[tuple[int, ...]] = [(start,)]
        seen = {start}
        for _ in range(hops):
            grown: list[tuple[int, ...]] = []
            for chain in front:
                if chain[-1] == goal:
                    return chain
                for other in self.lanelets[chain[-1]].successors:
                    if other not in seen:
                        seen.add(other)
                        grown.append((*chain, other))
            front = grown
        return next((chain for chain in front if chain[-1] == goal), None)

    def neighbours(self, lanelet_id: int) -> tuple[int, ...]:
        """Lanelets beside this one that run in the same direction."""
        lanelet = self.lanelets[lanelet_id]
        return tuple(other for other in (lanelet.adjacent_left, lanelet.adjacent_right) if other is not None)
