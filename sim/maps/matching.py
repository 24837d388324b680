"""Which lanelets a recorded vehicle drove: the cheapest connected sequence (Viterbi) over its record.

Cost of a record in a lanelet: squared lateral distance and heading difference, in units of what a
tidy driver does. Cost of a step: nothing along the graph, something for a change of lane, much for a
jump that the graph does not explain.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.maps.lanes import LaneGraph
from sim.maps.routes import Leg, chain_line

Floats = npt.NDArray[np.float64]

_CHANGE_COST = 6.0
_JUMP_COST = 40.0
_HEADING_RAD = 0.35
_HEADING_RAD_MAX = math.radians(60.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lanelet under one record."""

    lanelet_id: int
    lateral_m: float
    heading_rad: float
    """Vehicle minus lane."""
    half_width_m: float
    cost: float


class Matcher:
    """Dense centre lines of all drivable lanelets of a map, for one kind of vehicle."""

    def __init__(self, graph: LaneGraph, *, scale: float, kind: str) -> None:
        self._graph, self._scale = graph, scale
        self._ids = [key for key in graph.lanelets if graph.drivable(key, kind)]
        points, yaws, halves, owner, first, last = [], [], [], [], [], []
        for index, key in enumerate(self._ids):
            xy, _, half = chain_line(graph, (key,), 0.5 * scale)
            chord = np.gradient(xy, axis=0)
            points.append(xy)
            yaws.append(np.arctan2(chord[:, 1], chord[:, 0]))
            halves.append(half)
            owner.append(np.full(len(xy), index))
            ends = np.zeros((2, len(xy)), dtype=bool)
            ends[0, 0] = ends[1, -1] = True
            first.append(ends[0])
            last.append(ends[1])
        self._xy = np.concatenate(points) if points else np.zeros((0, 2))
        self._yaw = np.concatenate(yaws) if yaws else np.zeros(0)
        self._half = np.concatenate(halves) if halves else np.zeros(0)
        self._owner = np.concatenate(owner) if owner else np.zeros(0, dtype=int)
        self._first = np.concatenate(first) if first else np.zeros(0, dtype=bool)
        self._last = np.concatenate(last) if last else np.zeros(0, dtype=bool)

    def candidates(self, x_m: float, y_m: float, yaw_rad: float) -> tuple[Candidate, ...]:
        """Lanelets near a pose that run its way, cheapest first."""
        scale = self._scale
        dx, dy = x_m - self._xy[:, 0], y_m - self._xy[:, 1]
        distance = np.hypot(dx, dy)
        lean = np.remainder(yaw_rad - self._yaw + math.pi, math.tau) - math.pi
        usable = (np.abs(lean) <= _HEADING_RAD_MAX) & (distance <= self._half + 2.0 * scale)
        best: dict[int, int] = {}
        for k in np.flatnonzero(usable):
            index = int(self._owner[k])
            if index not in best or distance[k] < distance[best[index]]:
                best[index] = int(k)
        found = []
        for index, k in best.items():
            cos, sin = math.cos(self._yaw[k]), math.sin(self._yaw[k])
            ahead, left = dx[k] * cos + dy[k] * sin, dy[k] * cos - dx[k] * sin
            past = max(0.0, -ahead if self._first[k] else 0.0, ahead if self._last[k] else 0.0)
            if abs(left) > self._half[k] + scale or past > 2.0 * scale:
                continue
            cost = (left / scale) ** 2 + (lean[k] / _HEADING_RAD) ** 2 + (past / scale) ** 2
            found.append(Candidate(self._ids[index], float(left), float(lean[k]), float(self._half[k]), float(cost)))
        return tuple(sorted(found, key=lambda one: (one.cost, one.lanelet_id)))

    def match(self, x_m: Floats, y_m: Floats, yaw_rad: Floats) -> tuple[Leg, ...]:
        """The legs that a record followed; empty if it starts off every lane.

        Records off every lane are bridged: the graph has to explain how the vehicle came from the one
        before to the one after.
        """
        layers = []
        for k in _spread(x_m, y_m, self._scale):
            found = self.candidates(float(x_m[k]), float(y_m[k]), float(yaw_rad[k]))[:6]
            if not found and not layers:
                return ()
            if found:
                layers.append((k, found))
        chosen = self._cheapest([found for _, found in layers])
        return self._legs(chosen, [(float(x_m[k]), float(y_m[k])) for k, _ in layers])

    def _cheapest(self, layers: list[tuple[Candidate, ...]]) -> list[int]:
        totals = [one.cost for one in layers[0]]
        back: list[list[int]] = []
        for before, here in itertools.pairwise(layers):
            rows, links = [], []
            for one in here:
                steps = [
                    total + self._step(other.lanelet_id, one.lanelet_id)
                    for total, other in zip(totals, before, strict=True)
                ]
                pick = int(np.argmin(steps))
                rows.append(steps[pick] + one.cost)
                links.append(pick)
            totals = rows
            back.append(links)
        at = int(np.argmin(totals))
        chosen = [layers[-1][at].lanelet_id]
        for links, layer in zip(reversed(back), reversed(layers[:-1]), strict=True):
            at = links[at]
            chosen.append(layer[at].lanelet_id)
        return chosen[::-1]

    def _step(self, a: int, b: int) -> float:
        if a == b:
            return 0.0
        chain = self._graph.between(a, b, hops=4)
        if chain is not None:
            return 0.1 * len(chain)
        sides = self._graph.neighbours(a)
        if b in sides or any(self._graph.between(side, b, hops=2) for side in sides):
            return _CHANGE_COST
        return _JUMP_COST

    def _legs(self, chosen: list[int], places: list[tuple[float, float]]) -> tuple[Leg, ...]:
        legs: list[Leg] = []
        chain: tuple[int, ...] = (chosen[0],)
        for k in range(1, len(chosen)):
            if chosen[k] == chain[-1]:
                continue
            onward = self._graph.between(chain[-1], chosen[k], hops=4)
            if onward is not None:
                chain += onward[1:]
                continue
            legs.append(Leg(chain, *(0.5 * (a + b) for a, b in zip(places[k - 1], places[k], strict=True))))
            chain = (chosen[k],)
        legs.append(Leg(chain))
        return tuple(legs)


def _spread(x_m: Floats, y_m: Floats, spacing: float) -> list[int]:
    """Indices of records at least ``spacing`` apart, the first always among them."""
    kept = [0]
    for k in range(1, len(x_m)):
        if math.hypot(x_m[k] - x_m[kept[-1]], y_m[k] - y_m[kept[-1]]) >= spacing:
            kept.append(k)
    return kept
