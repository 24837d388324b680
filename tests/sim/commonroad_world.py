"""Roads and recorded traffic as CommonRoad XML of both versions, made for the tests.

A :class:`World` holds lanelets, links them, and records road users along chains of them. Geometry:
metres in W; right-hand traffic; lanes are numbered from the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.sim.commonroad_files import bound, document, state

Line = np.ndarray
STEP_S = 0.1
SIZES = {
    "car": (4.6, 1.85),
    "truck": (8.5, 2.5),
    "bus": (12.0, 2.5),
    "motorcycle": (2.2, 0.8),
    "bicycle": (1.9, 0.6),
    "pedestrian": (0.5, 0.6),
    "parkedVehicle": (4.6, 1.85),
}


@dataclass(slots=True)
class Lane:
    """One lanelet while the world grows; ``left`` and ``right``: (neighbour, runs the same way)."""

    center: Line
    width_m: Line
    limit_mps: float | None
    kinds: tuple[str, ...]
    successors: list[int] = field(default_factory=list)
    predecessors: list[int] = field(default_factory=list)
    left: tuple[int, bool] | None = None
    right: tuple[int, bool] | None = None


@dataclass(slots=True)
class World:
    """Lanelets and road users of one file."""

    scale: float = 1.0
    lanes: dict[int, Lane] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    users: list[tuple[int, str, tuple[float, float], list[tuple[int, float, float, float, float]]]] = field(
        default_factory=list
    )
    statics: list[tuple[int, str, tuple[float, float], tuple[float, float, float]]] = field(default_factory=list)
    incoming: list[int] = field(default_factory=list)
    """Lanelets that an <intersection> element names as incoming."""

    def lane(
        self, key: int, center: Line, *, width_m: float | Line = 3.5, limit_mps: float | None = None,
        kinds: tuple[str, ...] = ("urban",),
    ) -> int:  # fmt: skip
        center = np.asarray(center, dtype=np.float64) * self.scale
        width = np.broadcast_to(np.asarray(width_m, dtype=np.float64) * self.scale, (len(center),))
        self.lanes[key] = Lane(center, width, limit_mps, kinds)
        return key

    def link(self, *chain: int) -> None:
        """Each is a successor of the one before."""
        for a, b in zip(chain, chain[1:], strict=False):
            self.lanes[a].successors.append(b)
            self.lanes[b].predecessors.append(a)

    def beside(self, *keys: int) -> None:
        """Lanes of one direction, from the right to the left."""
        for a, b in zip(keys, keys[1:], strict=False):
            self.lanes[a].left, self.lanes[b].right = (b, True), (a, True)

    def opposite(self, a: int, b: int) -> None:
        """Two lanes of one road that run against each other, each to the left of the other."""
        self.lanes[a].left, self.lanes[b].left = (b, False), (a, False)

    def user(
        self, kind: str, chain: Sequence[int] | Line, s_m: float, speed_mps: float, *,
        size: tuple[float, float] = (0.0, 0.0), offset_m: float = 0.0, shift_m: float = 0.0,
        shift_at: tuple[float, float] = (1.0, 4.0), first_step: int = 0, seconds: float = 5.0,
        accel_mps2: float = 0.0,
    ) -> int:  # fmt: skip
        """Record a road user whose centre starts ``s_m`` along a chain of lanes (or a polyline).

        It keeps ``offset_m`` to the left of the centre line, and moves by ``shift_m`` more between the
        two times of ``shift_at`` (a change of lane).
        """
        line = chain if isinstance(chain, np.ndarray) else self.line(chain)
        station = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
        rows = []
        s, v = s_m * self.scale, speed_mps * self.scale
        count = round(seconds / STEP_S)
        before = (0.0, 0.0)
        for k in range(count + 1):
            if s >= station[-1]:
                break
            j = min(int(np.searchsorted(station, s, side="right")) - 1, len(line) - 2)
            chord = line[j + 1] - line[j]
            unit = chord / np.hypot(*chord)
            u = min(max((k * STEP_S - shift_at[0]) / (shift_at[1] - shift_at[0]), 0.0), 1.0)
            aside = (offset_m + shift_m * u * u * (3.0 - 2.0 * u)) * self.scale
            rate = shift_m * 6.0 * u * (1.0 - u) / (shift_at[1] - shift_at[0]) * self.scale
            at = line[j] + (s - station[j]) * unit + aside * np.array([-unit[1], unit[0]])
            yaw = math.atan2(unit[1], unit[0]) + math.atan2(rate, max(v, 1e-3))
            rows.append((first_step + k, float(at[0]), float(at[1]), yaw, v))
            before = (s, v)
            v = max(0.0, before[1] + accel_mps2 * self.scale * STEP_S)
            s = before[0] + 0.5 * (before[1] + v) * STEP_S
        length, width = size if size[0] else SIZES.get(kind, SIZES["car"])
        key = 1000 + len(self.users) + len(self.statics)
        self.users.append((key, kind, (length * self.scale, width * self.scale), rows))
        return key

    def static(self, kind: str, x: float, y: float, yaw: float = 0.0, size: tuple[float, float] = (4.6, 1.85)) -> int:
        """A body that never moves."""
        key = 1000 + len(self.users) + len(self.statics)
        self.statics.append((key, kind, size, (x, y, yaw)))
        return key

    def line(self, chain: Sequence[int]) -> Line:
        """The centre line of a chain."""
        points = [self.lanes[chain[0]].center]
        points += [self.lanes[key].center[1:] for key in chain[1:]]
        return np.concatenate(points)

    def xml(self, version: str = "2020a", *, linked: bool = True) -> str:
        """The document; ``linked`` false: without any successor, predecessor or neighbour."""
        signs: dict[float, int] = {}
        parts = [self._lanelet(key, lane, version, linked, signs) for key, lane in sorted(self.lanes.items())]
        if version == "2020a":
            parts += [_sign(key, value) for value, key in signs.items()]
            if self.incoming:
                rows = "".join(
                    f'<incoming id="{9000 + k}"><incomingLanelet ref="{key}"/></incoming>'
                    for k, key in enumerate(self.incoming)
                )
                parts.append(f'<intersection id="8999">{rows}</intersection>')
        parts += [_user(row, version) for row in self.users] + [_static(row, version) for row in self.statics]
        return document([*parts, *self.extra], version=version)

    def _lanelet(self, key: int, lane: Lane, version: str, linked: bool, signs: dict[float, int]) -> str:
        tangent = np.gradient(lane.center, axis=0)
        normal = np.column_stack((-tangent[:, 1], tangent[:, 0])) / np.hypot(*tangent.T)[:, None]
        half = 0.5 * lane.width_m[:, None] * normal
        text = bound("leftBound", lane.center + half) + bound("rightBound", lane.center - half)
        if linked:
            text += "".join(f'<predecessor ref="{other}"/>' for other in lane.predecessors)
            text += "".join(f'<successor ref="{other}"/>' for other in lane.successors)
            for tag, side in (("adjacentLeft", lane.left), ("adjacentRight", lane.right)):
                if side is not None:
                    text += f'<{tag} ref="{side[0]}" drivingDir="{"same" if side[1] else "opposite"}"/>'
        if version == "2018b":
            limit = "" if lane.limit_mps is None else f"<speedLimit>{lane.limit_mps}</speedLimit>"
            return f'<lanelet id="{key}">{text}{limit}</lanelet>'
        text += "".join(f"<laneletType>{kind}</laneletType>" for kind in lane.kinds)
        if lane.limit_mps is not None:
            sign = signs.setdefault(lane.limit_mps, 700 + len(signs))
            text += f'<trafficSignRef ref="{sign}"/>'
        return f'<lanelet id="{key}">{text}</lanelet>'


def _sign(key: int, limit_mps: float) -> str:
    element = f"<trafficSignID>274</trafficSignID><additionalValue>{limit_mps}</additionalValue>"
    return f'<trafficSign id="{key}"><trafficSignElement>{element}</trafficSignElement></trafficSign>'


def _box(size: tuple[float, float]) -> str:
    return f"<shape><rectangle><length>{size[0]}</length><width>{size[1]}</width></rectangle></shape>"


def _user(row: tuple, version: str) -> str:
    key, kind, size, states = row
    texts = [state("initialState" if k == 0 else "state", *one) for k, one in enumerate(states)]
    later = f"<trajectory>{''.join(texts[1:])}</trajectory>" if len(texts) > 1 else ""
    body = f"<type>{kind}</type>{_box(size)}{texts[0]}{later}"
    if version == "2018b":
        return f'<obstacle id="{key}"><role>dynamic</role>{body}</obstacle>'
    return f'<dynamicObstacle id="{key}">{body}</dynamicObstacle>'


def _static(row: tuple, version: str) -> str:
    key, kind, size, (x, y, yaw) = row
    body = f"<type>{kind}</type>{_box(size)}{state('initialState', 0, x, y, yaw)}"
    if version == "2018b":
        return f'<obstacle id="{key}"><role>static</role>{body}</obstacle>'
    return f'<staticObstacle id="{key}">{body}</staticObstacle>'


def straight(start: tuple[float, float], end: tuple[float, float], spacing_m: float = 5.0) -> Line:
    count = max(2, math.ceil(math.dist(start, end) / spacing_m) + 1)
    return np.linspace(start, end, count)


def arc(center: tuple[float, float], radius: float, first_rad: float, last_rad: float) -> Line:
    count = max(4, math.ceil(abs(last_rad - first_rad) * radius / 1.0) + 1)
    angle = np.linspace(first_rad, last_rad, count)
    return np.column_stack((center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle)))


def bend(start: Line, start_rad: float, end: Line, end_rad: float) -> Line:
    """A cubic from one pose to another, a point per metre."""
    start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    chord = float(np.hypot(*(end - start)))
    turn = abs(math.remainder(end_rad - start_rad, math.tau))
    reach = chord * (1.0 / 3.0 + 0.05 * turn)
    a = start + reach * np.array([math.cos(start_rad), math.sin(start_rad)])
    b = end - reach * np.array([math.cos(end_rad), math.sin(end_rad)])
    u = np.linspace(0.0, 1.0, max(5, math.ceil(1.1 * chord) + 1))[:, None]
    return (1 - u) ** 3 * start + 3 * u * (1 - u) ** 2 * a + 3 * u * u * (1 - u) * b + u**3 * end
