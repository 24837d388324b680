"""Who comes, when and where to: arrivals from a table, from a Poisson process, by count, or one by one.

All randomness is PCG64 seeded by (the scenario's seed, what the stream is for, the name of the approach or
vehicle): so one approach's arrivals do not change when another approach is added or renamed.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from planners import zone_map
from sim.scenario import CountDemand, PoissonDemand, Scenario, Turning, VehicleDemand

VEHICLE_COUNT_MAX = 100_000
"""More arrivals than this in one scenario are a mistake in a rate."""
_Comer = TypeVar("_Comer")
"""An :class:`Arrival`, or an ``Actor`` of ``sim/stage.py``."""
_CARS = ("car", "model_car_1_18")
"""Passenger cars that ship, largest first."""
_LANE_SHARE_MAX = 0.85
"""The largest part of a lane that a car may fill."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One vehicle of the demand.

    ``arrival_s`` is when it wants to enter the map; it enters then, or as soon as its lane has room.
    """

    vehicle_id: str
    path_id: str
    arrival_s: float
    speed_mps: float | None
    """At entry; None: the speed limit there, or less where the vehicle is slower."""
    vehicle: str
    """Name or path of its vehicle file."""
    role: str = "honest"
    """honest, or legacy (without a radio)."""
    yields: bool = True
    """Of a legacy vehicle: false runs the junction."""
    start_s_m: float | None = None
    """Where its rear axle starts along the path; None: at the path's start."""


class Roads(Protocol):
    """What demand needs to know of a map."""

    @property
    def origins(self) -> Mapping[str, Mapping[str, str]]:
        """approach -> movement -> path_id."""
        ...

    @property
    def paths(self) -> Sequence[zone_map.Path]: ...


def arrivals(scenario: Scenario, roads: Roads) -> tuple[Arrival, ...]:
    """The vehicles of ``scenario`` on the map ``roads``, by arrival time, then id.

    Recorded vehicles of a CommonRoad map are not made here: see ``sim/maps``.

    Raises
    ------
    ConfigError
        An approach, movement, path or vehicle that does not exist; a broken table; nobody comes.
    """
    demand, source = scenario.demand, scenario.source
    vehicle = fitting_vehicle(roads) if scenario.vehicle == "fitting" else scenario.vehicle
    if demand.csv is not None:
        found = from_csv(Path(demand.csv), roads, vehicle)
    elif demand.poisson is not None:
        found = poisson(demand.poisson, roads, vehicle, scenario.seed)
    elif demand.vehicles is not None:
        found = explicit(demand.vehicles, roads, vehicle, source)
    elif demand.count is not None:
        count = CountDemand(vehicles=demand.count) if isinstance(demand.count, int) else demand.count
        found = by_count(count, roads, vehicle, scenario.seed)
    else:
        raise ConfigError(f"{source}: demand.recorded: recorded vehicles come from the map file, not from here")
    if not found:
        raise ConfigError(f"{source}: demand.{demand.kind()}: nobody comes; raise the rate or the time")
    return with_legacy(tuple(sorted(found, key=lambda one: (one.arrival_s, one.vehicle_id))), scenario)


def from_csv(path: Path, roads: Roads, vehicle: str) -> tuple[Arrival, ...]:
    """Arrivals of a table with the header ``arrival_s,approach,movement``, named v000, v001, ... by row.

    Raises
    ------
    ConfigError
        With file and line: wrong header, wrong number of fields, a time that is not a finite number of
        seconds >= 0, an approach or movement that the map does not have.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    rows = list(csv.reader(text.splitlines()))
    header = ["arrival_s", "approach", "movement"]
    if not rows or [field.strip() for field in rows[0]] != header:
        raise ConfigError(
            f"{path}:1: the header must be {','.join(header)} (it is {','.join(rows[0]) if rows else ''!r})"
        )
    found = []
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 3:
            raise ConfigError(f"{path}:{line}: {len(row)} fields where 3 are needed: {','.join(row)!r}")
        arrival_s = _seconds(row[0], f"{path}:{line}: arrival_s")
        path_id = route(roads, row[1].strip(), row[2].strip(), f"{path}:{line}")
        found.append((arrival_s, path_id))
        _check_count(len(found), str(path))
    return tuple(_numbered(found, vehicle))


def poisson(spec: PoissonDemand, roads: Roads, vehicle: str, seed: int) -> tuple[Arrival, ...]:
    """Poisson arrivals at every approach, ``spec.vph`` per hour and lane, with turning shares."""
    found = []
    for approach in sorted(roads.origins):
        movements = roads.origins[approach]
        stream = _stream(seed, "poisson", approach)
        shares = _shares(spec.turning, movements, approach)
        per_s = spec.vph * lane_count(roads, approach) / 3600.0
        at_s = float(stream.exponential(1.0 / per_s))
        while at_s <= spec.until_s:
            movement = _pick(shares, float(stream.random()))
            found.append((round(at_s, 3), movements[movement]))
            _check_count(len(found), "demand.poisson")
            at_s += float(stream.exponential(1.0 / per_s))
    return tuple(_numbered(sorted(found), vehicle))


def by_count(spec: CountDemand, roads: Roads, vehicle: str, seed: int) -> tuple[Arrival, ...]:
    """``spec.vehicles`` arrivals, approaches in turn, one per approach every ``spec.headway_s``."""
    approaches = sorted(roads.origins)
    if not approaches:
        raise ConfigError("the map has no way in, so no vehicle can come")
    streams = {approach: _stream(seed, "count", approach) for approach in approaches}
    found = []
    for index in range(spec.vehicles):
        approach, wave = approaches[index % len(approaches)], index // len(approaches)
        movements, stream = roads.origins[approach], streams[approach]
        late_s = float(stream.random()) * spec.headway_s / 3.0
        movement = _pick(_shares(spec.turning, movements, approach), float(stream.random()))
        found.append((round(wave * spec.headway_s + late_s, 3), movements[movement]))
    return tuple(_numbered(sorted(found), vehicle))


def explicit(entries: tuple[VehicleDemand, ...], roads: Roads, vehicle: str, source: str) -> tuple[Arrival, ...]:
    """The vehicles that the scenario lists, with their routes looked up and starts checked."""
    paths = {path.path_id: path for path in roads.paths}
    found = []
    for index, entry in enumerate(entries):
        where = f"{source}: demand.vehicles[{index}]"
        path_id = (
            entry.path if entry.path is not None else route(roads, entry.approach or "", entry.movement or "", where)
        )
        if path_id not in paths:
            raise ConfigError(f"{where}.path: no path {path_id!r}{close(path_id, paths)}")
        length_m = paths[path_id].length_m
        if entry.start_s_m is not None and entry.start_s_m >= length_m:
            raise ConfigError(f"{where}.start_s_m: {entry.start_s_m:g} m is beyond the path's end at {length_m:g} m")
        found.append(
            Arrival(
                vehicle_id=entry.id,
                path_id=path_id,
                arrival_s=entry.arrival_s,
                speed_mps=entry.speed_mps,
                vehicle=entry.vehicle or vehicle,
                role=entry.role,
                yields=entry.yields,
                start_s_m=entry.start_s_m,
            )
        )
    return tuple(found)


def with_legacy(found: tuple[_Comer, ...], scenario: Scenario) -> tuple[_Comer, ...]:
    """``found`` with the radios taken away that the scenario's ``legacy`` list names.

    Raises
    ------
    ConfigError
        The list names a vehicle that does not come.
    """
    changed = {arrival.vehicle_id: arrival for arrival in found}
    for index, legacy in enumerate(scenario.legacy):
        if legacy.vehicle is not None and legacy.vehicle not in changed:
            where = f"{scenario.source}: legacy[{index}].vehicle"
            raise ConfigError(f"{where}: no vehicle {legacy.vehicle!r}{close(legacy.vehicle, changed)}")
        for name, arrival in changed.items():
            lot = legacy.share is not None and _stream(scenario.seed, f"legacy {index}", name).random() < legacy.share
            if (name == legacy.vehicle or lot) and arrival.role == "honest":
                changed[name] = replace(arrival, role="legacy", yields=legacy.yields)
    return tuple(changed.values())


def route(roads: Roads, approach: str, movement: str, where: str) -> str:
    """The path of ``movement`` from ``approach``; a missing one is named together with those that exist."""
    if approach not in roads.origins:
        raise ConfigError(f"{where}: no approach {approach!r}; known: {', '.join(sorted(roads.origins))}")
    movements = roads.origins[approach]
    if movement not in movements:
        known = ", ".join(sorted(movements))
        raise ConfigError(f"{where}: no path goes {movement!r} from approach {approach!r}; from there: {known}")
    return movements[movement]


def lane_count(roads: Roads, approach: str) -> int:
    """Number of lanes in which paths from ``approach`` start (starts at least 1 m apart)."""
    starts: list[tuple[float, float]] = []
    leaving = set(roads.origins[approach].values())
    for path in roads.paths:
        if path.path_id not in leaving:
            continue
        start = (float(path.x_m[0]), float(path.y_m[0]))
        if all(math.dist(start, other) > 1.0 for other in starts):
            starts.append(start)
    return len(starts)


def fitting_vehicle(roads: Roads) -> str:
    """The passenger car of the map's scale: the largest of those that ship whose width leaves room in its lanes.

    Raises
    ------
    ConfigError
        No car is narrow enough.
    """
    widths = [2.0 * float(np.median(path.half_width_m)) for path in roads.paths]
    lane_m = float(np.median(widths)) if widths else 0.0
    for name in _CARS:
        if load_vehicle(name).body.width_m <= _LANE_SHARE_MAX * lane_m:
            return name
    raise ConfigError(f"no car that ships fits lanes of {lane_m:.2f} m; name a vehicle file with the key vehicle")


def _numbered(found: list[tuple[float, str]], vehicle: str) -> list[Arrival]:
    return [Arrival(f"v{index:03d}", path_id, at_s, None, vehicle) for index, (at_s, path_id) in enumerate(found)]


def chance(seed: int, purpose: str, name: str) -> float:
    """A number in [0, 1) for one vehicle and purpose, whoever else comes."""
    return float(_stream(seed, purpose, name).random())


def _stream(seed: int, purpose: str, name: str) -> np.random.Generator:
    digest = blake2b(f"{purpose}\0{name}".encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[k : k + 4], "little") for k in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def _shares(turning: Turning, movements: Mapping[str, str], approach: str) -> tuple[tuple[str, float], ...]:
    """(movement, share) of those that the approach has, rescaled to 1, in the record's order.

    Where an approach turns at one of several junctions (``left_1``, ``left_2``), that of ``left`` is spread evenly.
    """
    given = []
    for name in turning.__struct_fields__:
        ways = sorted(way for way in movements if way == name or way.startswith(f"{name}_"))
        given += [(way, float(getattr(turning, name)) / len(ways)) for way in ways]
    total = sum(share for _, share in given)
    if total <= 0.0:
        raise ConfigError(f"turning: approach {approach!r} offers {', '.join(sorted(movements))}, all with share 0")
    return tuple((name, share / total) for name, share in given)


def _pick(shares: tuple[tuple[str, float], ...], u: float) -> str:
    for name, share in shares:
        u -= share
        if u < 0.0:
            return name
    return shares[-1][0]


def _seconds(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise ConfigError(f"{where}: {text!r} is not a finite number of seconds >= 0")
    return value


def _check_count(count: int, where: str) -> None:
    if count > VEHICLE_COUNT_MAX:
        raise ConfigError(f"{where}: more than {VEHICLE_COUNT_MAX} vehicles")


def close(name: str, known: Collection[str]) -> str:
    """A hint at what was meant, to be put behind a name that nobody knows."""
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"; did you mean {near[0]}?"
    some = ", ".join(sorted(known)[:8])
    return f"; known: {some}" + (", ..." if len(known) > 8 else "")
