"""Scenes of the kinds that published CommonRoad files show, with recorded traffic, for the tests.

Each function of :data:`SCENES` returns a :class:`World`; ``World.xml`` writes it in either version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import shapely

from tests.sim.commonroad_world import SIZES, World, arc, bend, straight

HEADINGS = {"E": 0.0, "N": math.pi / 2, "W": math.pi, "S": -math.pi / 2}
"""Directions from the middle of a junction to the ends of its arms."""


class Junction:
    """Arms around a point with ``lanes`` lanes each way, and lanelets for all turns."""

    def __init__(
        self, world: World, *, lanes: int = 1, arms: Sequence[str] = "ENWS", arm_m: float = 120.0,
        stop_m: float = 14.0, width_m: float = 3.5, limit_mps: float = 13.9, parts: int = 1,
    ) -> None:  # fmt: skip
        self.world, self.arms, self.lanes = world, arms, lanes
        self.entry: dict[tuple[str, int], list[int]] = {}
        self.exit: dict[tuple[str, int], list[int]] = {}
        self.turn: dict[tuple[str, int, str], int] = {}
        self._key = 1
        for arm in arms:
            yaw = HEADINGS[arm]
            out, left = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
            for lane in range(lanes):
                aside = (lanes - lane - 0.5) * width_m
                far, near = out * (stop_m + arm_m), out * stop_m
                self.entry[arm, lane] = self._road(far + aside * left, near + aside * left, width_m, limit_mps, parts)
                self.exit[arm, lane] = self._road(near - aside * left, far - aside * left, width_m, limit_mps, parts)
            for table in (self.entry, self.exit):
                for part in range(parts):
                    world.beside(*(table[arm, lane][part] for lane in range(lanes)))
            for part in range(parts):
                world.opposite(self.entry[arm, lanes - 1][part], self.exit[arm, lanes - 1][parts - 1 - part])
        for arm in arms:
            for lane in range(lanes):
                for other in arms:
                    self._turn(arm, lane, other, width_m, limit_mps)
        world.incoming = [self.entry[arm, lane][-1] for arm in arms for lane in range(lanes)]

    def _road(self, a: np.ndarray, b: np.ndarray, width_m: float, limit_mps: float, parts: int) -> list[int]:
        ends = np.linspace(a, b, parts + 1)
        keys = []
        for k in range(parts):
            line = straight(tuple(ends[k]), tuple(ends[k + 1]))
            keys.append(self.world.lane(self._key, line, width_m=width_m, limit_mps=limit_mps))
            self._key += 1
        self.world.link(*keys)
        return keys

    def _turn(self, arm: str, lane: int, other: str, width_m: float, limit_mps: float) -> None:
        bearing = math.remainder(HEADINGS[other] - HEADINGS[arm] - math.pi, math.tau)
        if other == arm:
            return
        if (bearing > 0.5 and lane != self.lanes - 1) or (bearing < -0.5 and lane != 0):
            return
        scale = self.world.scale
        start = self.world.lanes[self.entry[arm, lane][-1]].center[-1] / scale
        end = self.world.lanes[self.exit[other, lane][0]].center[0] / scale
        line = bend(start, HEADINGS[arm] + math.pi, end, HEADINGS[other])
        key = self.world.lane(self._key, line, width_m=width_m, limit_mps=limit_mps)
        self._key += 1
        self.turn[arm, lane, other] = key
        self.world.link(self.entry[arm, lane][-1], key, self.exit[other, lane][0])

    def way(self, arm: str, lane: int, other: str) -> list[int]:
        """The chain from the far end of an arm to the far end of another."""
        return [*self.entry[arm, lane], self.turn[arm, lane, other], *self.exit[other, lane]]


def highway() -> World:
    """Three lanes, twelve cars and trucks at 22 to 35 m/s, gaps below a second, three changes of lane."""
    world = World()
    for part, (x0, x1) in enumerate(((0.0, 350.0), (350.0, 800.0))):
        for lane in range(3):
            world.lane(10 * part + lane + 1, straight((x0, 3.75 * lane), (x1, 3.75 * lane), 25.0), width_m=3.75,
                       limit_mps=36.0, kinds=("highway", "mainCarriageWay"))  # fmt: skip
        world.beside(*(10 * part + lane + 1 for lane in range(3)))
    for lane in range(3):
        world.link(lane + 1, lane + 11)
    way = [[lane + 1, lane + 11] for lane in range(3)]
    world.user("truck", way[0], 60.0, 22.0, size=(16.5, 2.5))
    world.user("truck", way[0], 100.0, 22.5, size=(12.0, 2.5))
    world.user("car", way[0], 25.0, 27.0, shift_m=3.75, shift_at=(0.5, 4.0))
    world.user("car", way[0], 150.0, 25.0)
    world.user("car", way[1], 15.0, 31.0)
    world.user("car", way[1], 60.0, 30.0, shift_m=3.75)
    world.user("car", way[1], 88.0, 29.0)
    world.user("car", way[1], 120.0, 28.0, shift_m=-3.75, shift_at=(1.0, 5.0))
    world.user("car", way[2], 10.0, 35.0)
    world.user("car", way[2], 42.0, 34.0)
    world.user("car", way[2], 95.0, 33.0)
    world.user("motorcycle", way[2], 140.0, 34.0)
    return world


def ramp() -> World:
    """An on-ramp joins a two-lane carriageway over an acceleration lane that ends."""
    world = World()
    for part, (x0, x1) in enumerate(((0.0, 150.0), (150.0, 320.0), (320.0, 600.0))):
        for lane in range(2):
            world.lane(10 * part + lane + 1, straight((x0, 3.75 * lane), (x1, 3.75 * lane), 20.0), width_m=3.75,
                       limit_mps=30.0, kinds=("highway",))  # fmt: skip
        world.beside(10 * part + 1, 10 * part + 2)
    for lane in (1, 2):
        world.link(lane, lane + 10, lane + 20)
    world.lane(31, bend((20.0, -45.0), 0.5, (150.0, -3.75), 0.0), limit_mps=22.0, kinds=("accessRamp",))
    world.lane(32, straight((150.0, -3.75), (320.0, -3.75), 20.0), width_m=3.75, limit_mps=30.0, kinds=("accessRamp",))
    world.link(31, 32)
    world.beside(32, 11, 12)
    world.user("car", [1, 11, 21], 70.0, 24.0)
    world.user("truck", [1, 11, 21], 30.0, 22.0, size=(14.0, 2.5))
    world.user("car", [1, 11, 21], 120.0, 25.0)
    world.user("car", [2, 12, 22], 60.0, 29.0)
    world.user("car", [2, 12, 22], 15.0, 28.0)
    world.user("car", [31, 32], 90.0, 17.0, shift_m=3.75, shift_at=(4.5, 7.5), seconds=9.0, accel_mps2=0.8)
    world.user("car", [31, 32], 60.0, 16.0, shift_m=3.75, shift_at=(7.0, 9.5), seconds=11.0, accel_mps2=0.6)
    world.user("car", [31, 32], 150.0, 20.0, shift_m=3.75, shift_at=(1.0, 4.0), seconds=6.0, accel_mps2=0.8)
    return world


def zip_merge() -> World:
    """Two lanes become one, as a zip; one car of each pair is in the taper at the start."""
    world = World()
    world.lane(25, straight((-180.0, 9.0), (-22.0, 9.2), 60.0), limit_mps=50.0)
    world.lane(26, straight((-180.0, 5.5), (-22.0, 5.7), 60.0), limit_mps=50.0)
    world.lane(27, straight((-22.0, 5.7), (-1.0, 5.7)), limit_mps=50.0)
    world.lane(28, bend((-22.0, 9.2), 0.0, (-1.0, 5.7), 0.0), limit_mps=50.0)
    world.lane(24, straight((-1.0, 5.7), (150.0, 4.0), 70.0), limit_mps=50.0)
    world.beside(26, 25)
    world.link(25, 28, 24)
    world.link(26, 27, 24)
    for chain, places in (([25, 28, 24], (150.0, 105.0, 70.0, 20.0)), ([26, 27, 24], (172.0, 128.0, 85.0, 50.0))):
        for place in places:
            world.user("car", chain, place, 11.5, size=(5.0, 2.0))
    return world


def crossing() -> World:
    """Four arms, two lanes each way, recorded in full swing: turners wait in the middle, queues stand close."""
    world = World()
    j = Junction(world, lanes=2, parts=2)
    world.user("car", j.way("S", 1, "W"), 120.0 + 8.0, 0.0, offset_m=0.1)
    world.user("car", j.way("N", 1, "E"), 120.0 + 7.5, 0.0)
    world.user("car", j.way("S", 0, "N"), 120.0 + 9.0, 9.0)
    world.user("car", j.way("S", 0, "N"), 100.0, 10.0, offset_m=-0.2)
    world.user("bus", j.way("N", 0, "S"), 120.0 + 4.0, 7.0)
    world.user("car", j.way("N", 0, "W"), 104.0, 8.0)
    for k in range(4):
        world.user("car", j.way("W", 0, "E" if k % 2 else "S"), 117.0 - 6.3 * k, 0.0, offset_m=0.15 * (-1) ** k)
    for k in range(3):
        world.user("car", j.way("W", 1, "N"), 117.4 - 6.5 * k, 0.0)
    world.user("truck", j.way("E", 0, "W"), 114.0, 0.0)
    world.user("car", j.way("E", 0, "W"), 106.0, 0.0)
    world.user("car", j.way("E", 1, "W"), 116.0, 0.0)
    world.user("car", j.way("E", 1, "S"), 109.8, 0.0, offset_m=0.3)
    world.user("motorcycle", j.way("S", 1, "W"), 122.5, 0.0)
    return world


def roundabout() -> World:
    """A ring of 15 m with four arms; traffic in the ring and at all entries."""
    world = World()
    ring, names = 15.0, "ENWS"
    gap = math.radians(24.0)
    pieces: list[int] = []
    for k, arm in enumerate(names):
        yaw = HEADINGS[arm]
        world.lane(40 + k, arc((0.0, 0.0), ring, yaw - gap, yaw + gap), width_m=4.5, limit_mps=9.0)
        world.lane(50 + k, arc((0.0, 0.0), ring, yaw + gap, yaw + math.pi / 2 - gap), width_m=4.5, limit_mps=9.0)
        pieces += [40 + k, 50 + k]
    world.link(*pieces, pieces[0])
    for k, arm in enumerate(names):
        yaw = HEADINGS[arm]
        out, left = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
        far, near = 100.0 * out, 30.0 * out
        world.lane(10 + k, straight(tuple(far + 2.0 * left), tuple(near + 2.0 * left)))
        world.lane(20 + k, straight(tuple(near - 2.0 * left), tuple(far - 2.0 * left)))
        joins, leaves = world.lanes[50 + k].center[0], world.lanes[40 + k].center[0]
        world.lane(30 + k, bend(near + 2.0 * left, yaw + math.pi, joins, yaw + gap + math.pi / 2), limit_mps=9.0)
        world.lane(35 + k, bend(leaves, yaw - gap + math.pi / 2, near - 2.0 * left, yaw), limit_mps=9.0)
        world.link(10 + k, 30 + k, 50 + k)
        world.link(50 + (k - 1) % 4, 35 + k, 20 + k)
        world.opposite(10 + k, 20 + k)

    def way(a: int, b: int) -> list[int]:
        chain, k = [10 + a, 30 + a, 50 + a], (a + 1) % 4
        while k != b:
            chain += [40 + k, 50 + k]
            k = (k + 1) % 4
        return [*chain, 35 + b, 20 + b]

    for a in range(4):
        world.user("car", way(a, (a + 2) % 4), 62.0, 6.0, seconds=9.0)
        world.user("car", way(a, (a + 1 + a % 3) % 4 if a % 3 != 3 else (a + 1) % 4), 45.0, 8.0, seconds=12.0)
    world.user("car", way(0, 3), 105.0, 6.0, seconds=8.0)
    world.user("truck", way(1, 3), 106.0, 5.0, seconds=8.0)
    return world


def t_junction() -> World:
    """A T junction with one lane each way, in motion, with a queue on the stem."""
    world = World()
    j = Junction(world, arms="EWS", stop_m=11.0, width_m=3.2, arm_m=80.0)
    for k in range(3):
        world.user("car", j.way("S", 0, "W" if k != 1 else "E"), 77.0 - 6.4 * k, 0.0)
    world.user("car", j.way("W", 0, "E"), 60.0, 11.0)
    world.user("bus", j.way("W", 0, "E"), 30.0, 10.0)
    world.user("car", j.way("E", 0, "W"), 82.0, 12.0)
    world.user("car", j.way("E", 0, "S"), 70.0, 3.0)
    world.user("car", j.way("E", 0, "W"), 40.0, 11.0)
    return world


def narrow() -> World:
    """Three adjacent lanes of 2.8 m each way with buses and trucks side by side, and a signal-like queue."""
    world = World()
    j = Junction(world, lanes=3, width_m=2.8, arms="EW", stop_m=10.0, arm_m=150.0, limit_mps=16.7)
    for lane, kinds in enumerate((("bus", "car", "truck"), ("truck", "bus", "car"), ("car", "car", "bus"))):
        for k, kind in enumerate(kinds):
            world.user(kind, j.way("W", lane, "E"), 130.0 - 22.0 * k - 2.0 * lane, 12.0 if lane else 9.0)
            world.user(kind, j.way("E", lane, "W"), 120.0 - 16.0 * k, 0.0, offset_m=0.1 * (lane - 1))
    return world


def later() -> World:
    """Vehicles that appear while the record runs: at the edges, behind others, and inside the junction."""
    world = World()
    j = Junction(world, lanes=1, parts=3)
    world.user("car", j.way("S", 0, "N"), 90.0, 10.0, seconds=8.0)
    world.user("car", j.way("W", 0, "E"), 100.0, 11.0, seconds=6.0)
    world.user("car", j.way("W", 0, "E"), 5.0, 12.0, first_step=20, seconds=6.0)
    world.user("car", j.way("W", 0, "E"), 5.0, 12.0, first_step=38, seconds=6.0)
    world.user("car", j.way("E", 0, "S"), 131.0, 5.0, first_step=45, seconds=4.0)
    world.user("car", j.way("N", 0, "S"), 60.0, 12.0, first_step=30, seconds=4.0)
    world.user("truck", j.way("N", 0, "E"), 5.0, 9.0, first_step=60, seconds=4.0)
    world.user("car", j.way("S", 0, "W"), 128.0, 4.0, first_step=100, seconds=4.0)
    world.user("bus", j.way("E", 0, "W"), 8.0, 10.0, first_step=61, seconds=5.0)
    return world


def parked() -> World:
    """Cars parked at the edge, one a little into the lane and one in its middle, and static outlines."""
    world = World()
    j = Junction(world, lanes=2, parts=2)
    world.static("parkedVehicle", -60.0, -7.4)
    world.static("parkedVehicle", -50.0, -7.0, size=(4.8, 1.9))
    world.static("roadBoundary", 0.0, 25.0, size=(0.4, 0.4))
    world.static("constructionZone", 60.0, -5.6, size=(8.0, 2.0))
    world.user("parkedVehicle", j.way("S", 0, "N"), 40.0, 0.0, offset_m=-2.9, seconds=1.0)
    world.user("car", j.way("S", 0, "N"), 20.0, 12.0)
    world.user("car", j.way("S", 1, "N"), 30.0, 12.0)
    world.user("car", j.way("W", 0, "E"), 40.0, 10.0)
    world.user("car", j.way("W", 1, "E"), 30.0, 11.0)
    world.user("car", j.way("W", 1, "N"), 90.0, 8.0)
    world.user("car", j.way("E", 1, "W"), 60.0, 10.0)
    world.user("car", j.way("N", 0, "W"), 50.0, 10.0)
    return world


def mixed() -> World:
    """Pedestrians, bicycles on lanes and on a bicycle lane, motorcycles and cars."""
    world = World()
    j = Junction(world, arms="EWS", lanes=1, arm_m=90.0)
    world.lane(900, straight((-100.0, -4.6), (100.0, -4.6), 20.0), width_m=1.8, kinds=("bicycleLane",))
    world.lane(901, straight((-100.0, -7.5), (100.0, -7.5), 20.0), width_m=2.0, kinds=("sidewalk",))
    world.user("pedestrian", [901], 30.0, 1.3)
    world.user("pedestrian", straight((10.0, -14.0), (10.0, 10.0)), 6.0, 1.2)
    world.user("bicycle", [900], 60.0, 5.0)
    world.user("bicycle", j.way("E", 0, "W"), 50.0, 5.5, offset_m=-1.0)
    world.user("bicycle", j.way("S", 0, "E"), 80.0, 4.0, offset_m=-0.6)
    world.user("motorcycle", j.way("E", 0, "S"), 40.0, 10.0)
    world.user("car", j.way("E", 0, "W"), 25.0, 11.0)
    world.user("car", j.way("S", 0, "W"), 60.0, 9.0)
    world.user("car", j.way("W", 0, "E"), 50.0, 12.0)
    return world


def odd() -> World:
    """Lanelets cut to a metre, bounds with doubled points, one that runs backwards, a loop, one link missing."""
    world = World()
    cuts = [-80.0, -40.0, -39.2, -38.9, -20.0, -8.0, -7.5, 8.0, 9.0, 40.0, 90.0]
    for k, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False)):
        world.lane(k + 1, straight((a, 0.0), (b, 0.0)), width_m=3.3)
    for k in range(1, len(cuts) - 1):
        if k != 5:
            world.link(k, k + 1)
    world.lane(30, straight((0.0, -80.0), (0.0, -9.0)), width_m=3.3)
    world.lane(31, straight((0.0, -9.0), (0.0, 9.0)), width_m=3.3)
    world.lane(32, straight((0.3, 9.3), (0.0, 80.0)), width_m=3.3)
    world.link(30, 31)
    world.lane(33, straight((90.0, 3.4), (-80.0, 3.4)), width_m=3.3)
    world.lane(40, straight((60.0, -30.0), (60.4, -30.0), 0.2), width_m=3.0)
    world.user("car", [1, 2, 3, 4, 5, 6], 20.0, 9.0)
    world.user("car", [1, 2, 3, 4, 5, 6], 41.0, 8.0, size=(4.2, 1.7))
    world.user("car", [30, 31], 40.0, 8.0, seconds=4.0)
    world.user("car", [30, 31], 75.0, 6.0, seconds=2.0)
    world.user("car", [33], 40.0, 10.0)
    world.user("car", [7, 8, 9, 10], 12.0, 7.0)
    return world


def two_way() -> World:
    """A winding road with a lane of 3 m each way: close opposing traffic, a truck, a stopped car in front."""
    world = World()
    x = np.linspace(0.0, 260.0, 66)
    y = 8.0 * np.sin(x / 35.0)
    yaw = np.arctan2(np.gradient(y), np.gradient(x))
    center = np.column_stack((x, y))
    normal = np.column_stack((-np.sin(yaw), np.cos(yaw)))
    world.lane(1, center - 1.5 * normal, width_m=3.0, kinds=("country",))
    world.lane(2, (center + 1.5 * normal)[::-1], width_m=3.0, kinds=("country",))
    world.opposite(1, 2)
    world.user("car", [1], 20.0, 14.0)
    world.user("truck", [1], 45.0, 12.0, size=(9.0, 2.5))
    world.user("car", [1], 120.0, 0.0)
    world.user("car", [2], 20.0, 15.0)
    world.user("bus", [2], 60.0, 11.0)
    world.user("car", [2], 90.0, 11.0)
    return world


def congested() -> World:
    """Five lanes of a city motorway in stop-and-go traffic: 50 vehicles off their centre lines, some changing lane."""
    draw = np.random.default_rng(7)
    world = World()
    for lane in range(5):
        world.lane(lane + 1, straight((0.0, 3.66 * lane), (420.0, 3.66 * lane), 30.0), width_m=3.66, limit_mps=29.0)
    world.beside(1, 2, 3, 4, 5)
    for lane in range(5):
        place, speed = 300.0 + float(draw.uniform(-10.0, 10.0)), 4.0 + 1.2 * lane
        for k in range(10):
            kind = "truck" if draw.random() < 0.12 else "motorcycle" if draw.random() < 0.05 else "car"
            length = SIZES[kind][0]
            changes = draw.random() < 0.12 and k % 3 == 0
            shift = (3.66 if lane < 4 else -3.66) if changes else 0.0
            world.user(kind, [lane + 1], place, max(0.0, speed + float(draw.normal(0.0, 0.7))), seconds=4.0,
                       offset_m=float(np.clip(draw.normal(0.0, 0.25), -0.5, 0.5)), shift_m=shift,
                       shift_at=(0.5, 4.5))  # fmt: skip
            place -= length + float(draw.uniform(3.0, 9.0)) + 0.5 * speed
    return world


def jam() -> World:
    """Cars of all four arms nose to side in the middle, at rest, half a metre apart; only one has room ahead."""
    world = World()
    j = Junction(world, lanes=1)
    middle = 120.0 + 14.0
    for arm, far in (("S", "N"), ("W", "E"), ("N", "S"), ("E", "W")):
        way = j.way(arm, 0, far)
        back = 2.1 if arm == "E" else 0.0
        world.user("car", way, middle - 3.4 - back, 0.0)
        world.user("car", way, middle - 8.6 - back, 0.0)
    return world


def empty() -> World:
    """A junction without traffic."""
    world = World()
    Junction(world, lanes=1)
    return world


def empty_small() -> World:
    """A single road without traffic or crossing."""
    world = World()
    world.lane(1, straight((0.0, 0.0), (60.0, 0.0)))
    return world


def model() -> World:
    """The crossing of a 1:18 scale map with recorded model cars."""
    world = World(scale=1.0 / 18.0)
    j = Junction(world, lanes=1, limit_mps=0.8, arm_m=70.0, width_m=3.4)
    for k, (a, b) in enumerate((("S", "N"), ("W", "E"), ("E", "S"), ("N", "W"))):
        world.user("car", j.way(a, 0, b), 30.0 + 3.0 * k, 8.0, size=(4.0, 1.9))
    world.user("car", j.way("S", 0, "W"), 20.0, 7.0, size=(4.0, 1.9))
    return world


SCENES: dict[str, Callable[[], World]] = {
    one.__name__: one
    for one in (
        highway, ramp, zip_merge, crossing, roundabout, t_junction, narrow, later, parked, mixed, odd, two_way,
        congested, jam, empty, empty_small, model,
    )
}  # fmt: skip


def random_scene(seed: int) -> World:
    """A boulevard, junction, highway or merge with as much traffic as fits, off the centre lines as people drive.

    Sizes, speeds, offsets and places are drawn from ``seed``; as recorded, nobody touches anybody for 2.5 s.
    """
    draw = np.random.default_rng(seed)
    world = World()
    form = ("boulevard", "junction", "highway", "t")[seed % 4]
    if form == "highway":
        lanes, width = int(draw.integers(2, 6)), float(draw.choice([3.25, 3.5, 3.75]))
        for lane in range(lanes):
            for part, (x0, x1) in enumerate(((0.0, 200.0), (200.0, 480.0))):
                key = 10 * part + lane + 1
                world.lane(key, straight((x0, width * lane), (x1, width * lane), 40.0), width_m=width, limit_mps=29.0)
            world.link(lane + 1, lane + 11)
        world.beside(*range(1, lanes + 1))
        world.beside(*range(11, lanes + 11))
        ways = [[lane + 1, lane + 11] for lane in range(lanes)]
        speeds, reach, stopped = (12.0, 30.0), 300.0, 0.0
    else:
        lanes = int(draw.integers(1, 4)) if form != "t" else int(draw.integers(1, 3))
        arms = {"boulevard": "ENWS", "junction": "ENWS", "t": "EWS"}[form]
        width = float(draw.choice([3.0, 3.25, 3.5]))
        j = Junction(world, lanes=lanes, arms=arms, width_m=width, stop_m=10.0 + width * lanes, arm_m=110.0,
                     parts=int(draw.integers(1, 4)))  # fmt: skip
        ways = [j.way(*turn) for turn in j.turn]
        speeds, reach, stopped = (4.0, 13.0), 175.0, 0.35
    taken: list[dict[int, shapely.Polygon]] = []
    for _ in range(int(draw.integers(6, 30))):
        way = ways[int(draw.integers(len(ways)))]
        kind = str(draw.choice(["car", "car", "car", "car", "truck", "bus", "motorcycle"]))
        size = tuple(np.round(np.array(SIZES[kind]) * draw.uniform(0.9, 1.1), 2))
        speed = 0.0 if draw.random() < stopped else float(draw.uniform(*speeds))
        place, offset = float(draw.uniform(8.0, reach)), float(np.clip(draw.normal(0.0, 0.3), -0.6, 0.6))
        step = int(draw.choice([0, 0, 0, 0, 17, 43]))
        shift = 0.0
        if form == "highway" and draw.random() < 0.2:
            shift = width if way[0] < lanes else -width
        world.user(kind, way, place, speed, size=size, offset_m=offset, shift_m=shift, first_step=step, seconds=4.0)
        swept = {row[0]: _outline(row, size) for row in world.users[-1][3][:26]}
        if any(step in other and box.distance(other[step]) < 0.2 for other in taken for step, box in swept.items()):
            world.users.pop()
        else:
            taken.append(swept)
    return world


def _outline(row: tuple[int, float, float, float, float], size: tuple[float, float]) -> shapely.Polygon:
    """The body at one record, with a quarter of a second of travel and 1.2 m in front of it."""
    _, x, y, yaw, speed = row
    front, rear, side = 0.5 * size[0] + 1.2 + 0.25 * speed, -0.5 * size[0], 0.5 * size[1]
    corners = np.array([[front, side], [rear, side], [rear, -side], [front, -side]])
    cos, sin = math.cos(yaw), math.sin(yaw)
    return shapely.Polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + np.array([x, y]))
