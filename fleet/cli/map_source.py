"""What ``fleet map`` draws: the paths of a map with the bodies that drive on them, from any kind of source."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.vehicle import Vehicle, load_vehicle
from planners.paths import pose_at
from planners.zone_map import ErrorBudget, Footprint, Path
from sim.maps.builtin import BUILTIN_MAPS, build
from sim.scenario import CountDemand, Scenario, load_scenario

Ring = tuple[tuple[float, float], ...]
Pose = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class DrawnSource:
    """A map and who drives where on it."""

    name: str
    paths: tuple[Path, ...]
    pairs: tuple[tuple[str, Footprint, ErrorBudget], ...]
    lanes: tuple[Ring, ...]
    vehicles: tuple[tuple[Footprint, Pose], ...]
    left_out: tuple[tuple[str, str], ...]


def drawn_map(source: str, vehicle: str) -> DrawnSource:
    """The map that ``source`` names: a built-in map, a scenario, or a CommonRoad file.

    Raises
    ------
    ConfigError
        Nothing of that name, or a file that cannot be used.
    """
    if source in BUILTIN_MAPS:
        return _built(source, {}, load_vehicle(vehicle))
    scenario = load_scenario(source)
    if scenario.map.builtin is not None:
        named = vehicle if scenario.vehicle == "fitting" else scenario.vehicle
        return _built(scenario.map.builtin, scenario.map.parameters(), load_vehicle(named))
    return _commonroad(scenario)


def _built(name: str, parameters: dict[str, float], vehicle: Vehicle) -> DrawnSource:
    source = build(name, **parameters)
    footprint, budget = _outline(vehicle)
    pairs = tuple((path.path_id, footprint, budget) for path in source.paths)
    return DrawnSource(name, source.paths, pairs, source.lanes, (), ())


def _commonroad(scenario: Scenario) -> DrawnSource:
    from sim.crossing import explicit_fleet
    from sim.maps.commonroad import load_commonroad
    from sim.recorded import recorded_fleet, vehicle_for

    road = load_commonroad(scenario.map.commonroad or "")
    count = scenario.demand.count
    if scenario.demand.recorded:
        fleet = recorded_fleet(road)
    else:
        number = count.vehicles if isinstance(count, CountDemand) else count or 8
        fleet = explicit_fleet(road, count=number, seed=scenario.seed)
    by_id = {path.path_id: path for path in fleet.paths}
    pairs, bodies = [], []
    for one in fleet.vehicles:
        footprint, budget = _outline(vehicle_for(one.kind, one.length_m, one.width_m))
        pairs.append((one.path_id, footprint, budget))
        bodies.append((footprint, pose_at(by_id[one.path_id], one.start_s_m)))
    lanes = tuple(lanelet.outline for lanelet in road.lanelets.values())
    left_out = tuple((one.label, one.reason) for one in fleet.unmapped)
    return DrawnSource(road.name, fleet.paths, tuple(pairs), lanes, tuple(bodies), left_out)


def _outline(vehicle: Vehicle) -> tuple[Footprint, ErrorBudget]:
    body, tracking = vehicle.body, vehicle.tracking
    return (
        Footprint(body.length_m, body.width_m, body.rear_overhang_m),
        ErrorBudget(tracking.lateral_m, tracking.longitudinal_m),
    )
