"""CommonRoad XML (2018b and 2020a) as lanelets, recorded road users and static outlines.

Lanelets and trajectories are read by commonroad-io from a document that ``commonroad_xml`` has
reduced to what is needed; see there for why.
"""

from __future__ import annotations

import hashlib
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from sim.maps.commonroad_xml import CleanDocument, clean
from sim.maps.lanes import LaneGraph, Lanelet, link

Floats = npt.NDArray[np.float64]

DEFAULT_LIMIT_MPS = 50.0 / 3.6
"""Where a file names no limit; scaled maps use it times their scale."""
_LIMIT_BY_TYPE = {"highway": 130.0 / 3.6, "interstate": 65 * 0.44704, "country": 100.0 / 3.6, "driveWay": 10.0 / 3.6}
_SCALED_BELOW_M = 1.5
"""A map whose median lane is narrower than this is of a scale model; lanes of cars start at 2 m."""
_FULL_SCALE_LANE_M = 3.0


@dataclass(frozen=True, slots=True)
class RecordedObstacle:
    """One dynamic obstacle: arrays float64 [record] of the *centre* of its outline, times ascending."""

    obstacle_id: int
    kind: str
    """The type in the file: car, truck, bus, motorcycle, bicycle, pedestrian, parkedVehicle, ..."""
    length_m: float
    width_m: float
    t_s: Floats
    x_m: Floats
    y_m: Floats
    yaw_rad: Floats
    speed_mps: Floats


@dataclass(frozen=True, slots=True)
class CommonRoadMap:
    """What one CommonRoad file holds."""

    name: str
    digest: str
    """sha256 of the file."""
    time_step_s: float
    scale: float
    """1.0 for roads of cars; for a scale model, its median lane width over 3 m."""
    lanelets: Mapping[int, Lanelet]
    obstacles: tuple[RecordedObstacle, ...]
    outlines: tuple[tuple[int, Floats], ...]
    """(obstacle id, float64 [corner, 2] convex outline in W) of static obstacles."""
    skipped: tuple[tuple[str, str], ...]
    """(what, reason) of parts of the file that could not be read."""

    @property
    def graph(self) -> LaneGraph:
        return LaneGraph(self.lanelets)


def load_commonroad(path: str | Path) -> CommonRoadMap:
    """Read a CommonRoad scenario file.

    Raises
    ------
    ConfigError
        In one line: missing or broken file, not CommonRoad, no usable lanelet, or the extra is not
        installed.
    """
    path = Path(path)
    with _quiet():
        reader, countries = _library()
        document = clean(path, lambda code: _speed_signs(countries, code))
        try:
            scenario, _ = reader(document.xml).open()
        except Exception as error:  # the library raises bare Exception, AssertionError, ValueError, ...
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ConfigError(f"{path}: commonroad-io cannot read this file: {reason}") from error
        lanelets, scale = _lanelets(scenario.lanelet_network.lanelets, document)
        obstacles = tuple(_recorded(obstacle, document) for obstacle in scenario.dynamic_obstacles)
    return CommonRoadMap(
        name=document.name,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        time_step_s=document.time_step_s,
        scale=scale,
        lanelets=lanelets,
        obstacles=tuple(sorted(obstacles, key=lambda obstacle: obstacle.obstacle_id)),
        outlines=tuple(document.outlines),
        skipped=tuple(document.skipped),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """commonroad-io reports each deprecated element through logging; none is of use to the user here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _library() -> tuple[Any, Any]:
    try:
        from commonroad.common.file_reader import CommonRoadFileReader
        from commonroad.scenario.traffic_sign import TrafficSignIDCountries
    except ImportError as error:
        raise ConfigError(
            'CommonRoad files need an extra that is not installed: pip install "accord-fleet[commonroad]"'
        ) from error
    return CommonRoadFileReader, TrafficSignIDCountries


def _speed_signs(countries: Any, code: str) -> frozenset[str]:
    signs = countries.get(code)
    return frozenset(str(sign.value) for sign in signs if sign.name.startswith("MAX_SPEED")) if signs else frozenset()


def _lanelets(found: Any, document: CleanDocument) -> tuple[dict[int, Lanelet], float]:
    """Linked lanelets, and the scale of the map."""
    widths = [np.median(np.hypot(*(one.left_vertices - one.right_vertices).T)) for one in found]
    width_m = float(np.median(widths))
    scale = 1.0 if width_m >= _SCALED_BELOW_M else width_m / _FULL_SCALE_LANE_M
    pieces = {}
    for one in found:
        key = int(one.lanelet_id)
        types = document.types.get(key, ())
        pieces[key] = Lanelet(
            lanelet_id=key,
            left=np.array(one.left_vertices, dtype=np.float64)[:, :2],
            right=np.array(one.right_vertices, dtype=np.float64)[:, :2],
            successors=tuple(one.successor),
            predecessors=tuple(one.predecessor),
            adjacent_left=one.adj_left if one.adj_left_same_direction else None,
            adjacent_right=one.adj_right if one.adj_right_same_direction else None,
            limit_mps=document.limit_mps.get(key, _default_limit(types) * scale),
            types=types,
        )
    return link(pieces, reach_m=0.75 * scale), scale


def _default_limit(types: tuple[str, ...]) -> float:
    return min((_LIMIT_BY_TYPE[name] for name in types if name in _LIMIT_BY_TYPE), default=DEFAULT_LIMIT_MPS)


def _recorded(obstacle: Any, document: CleanDocument) -> RecordedObstacle:
    states = [obstacle.initial_state]
    if obstacle.prediction is not None:
        states += obstacle.prediction.trajectory.state_list
    rows = np.array(
        [(s.time_step * document.time_step_s, *s.position[:2], s.orientation, s.velocity) for s in states],
        dtype=np.float64,
    )
    yaw = np.array([math.remainder(value, math.tau) for value in rows[:, 3]])
    shape = obstacle.obstacle_shape
    columns = [np.ascontiguousarray(column) for column in (rows[:, 0], rows[:, 1], rows[:, 2], yaw, rows[:, 4])]
    return RecordedObstacle(
        int(obstacle.obstacle_id),
        document.kinds[int(obstacle.obstacle_id)],
        float(shape.length),
        float(shape.width),
        *columns,
    )
