"""What a scenario file's records cannot say by their types alone: one of several keys, known names, shapes."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Sequence

import numpy as np

from fleet.errors import ConfigError
from fleet.mechanism.registry import BUILT_IN
from sim.crashes import check_faults
from sim.maps.builtin import BUILTIN_MAPS
from sim.metric_defs import validate_expectations
from sim.scenario_records import Attacker, Demand, Legacy, MapSpec, Point, ScenarioDocument, Turning, Urgency
from sim.scenario_site import check_tasks

WORLDS = {
    "bullet": "PyBullet: rigid bodies in contact, compiled tyre and actuator forces (Python 3.10 and 3.11)",
    "kinematic": "compiled bicycle model with actuator lag; hundreds of vehicles",
}
PLANNERS = {
    "first_come": "plans in order of announcement, exact conflict geometry in (s, t)",
    "tile_reservation": "baseline: first-come reservation server on a grid of tiles (Dresner and Stone 2008)",
    "signal_fixed": "baseline: traffic signal of fixed times, phases from the map",
    "signal_actuated": "baseline: traffic signal that keeps green while somebody comes",
    "right_before_left": "baseline: who comes from the right goes first, left turns yield to oncoming vehicles",
    "reactive": "baseline: no agreement at all, everybody avoids what it sees (reciprocal velocity obstacles)",
    "all_way_stop": "baseline: everybody stops, then goes in order of stopping; ways that do not meet go together",
    "welfare": "the passing order that costs the fleet least by the charter's weights, exact up to ten vehicles",
    "welfare+refine": "order of welfare, then smoother speed profiles for it (needs CasADi)",
    "first_come+refine": "order of first_come, then smoother speed profiles for it (needs CasADi)",
}
MECHANISMS = {name: kind.summary for name, kind in BUILT_IN.items()}
RANKED_PLANNERS = ("first_come", "welfare")
"""Planners that take an order, or weights, from a mechanism; with ``+refine`` too."""
CONTROLLERS = {
    "feedback": "feedback on place, speed and heading with the plan's acceleration fed forward",
    "mpc": "model predictive: quadratic programmes over the next 1.2 s of plan and path (needs CasADi)",
}
"""Names that a scenario file may use, with a line of description each."""
ROLES = ("honest", "legacy")
MOVEMENTS = ("left", "straight", "right", "u_turn")


def check_document(document: ScenarioDocument, source: str) -> None:
    """Raise :class:`ConfigError` with ``source``, key and value unless the parts of ``document`` fit together."""
    check_name(source, "world", document.world, WORLDS)
    check_name(source, "planner", document.planner, PLANNERS)
    check_name(source, "mechanism", document.mechanism, MECHANISMS)
    check_name(source, "control.controller", document.control.controller, CONTROLLERS)
    validate_expectations(list(document.expectations), source=source)
    for name, bound in document.expectations.items():
        if isinstance(bound, str) and bound != "all":
            raise ConfigError(f"{source}: expectations.{name}: {bound!r} is neither a number nor all")
    _check_charters(source, document)
    _check_map(source, document.map)
    _check_demand(source, document)
    for index, legacy in enumerate(document.legacy):
        _check_legacy(f"{source}: legacy[{index}]", legacy)
    check_faults(source, document.faults)
    _check_mechanism(source, document)
    if document.group.insist and document.planner != "right_before_left":
        raise ConfigError(
            f"{source}: group.insist: drivers insist on their right of way only by the planner right_before_left"
            f" (planner is {document.planner})"
        )
    for index, polygon in enumerate(document.obstacles):
        _check_polygon(f"{source}: obstacles[{index}]", polygon)


def check_name(source: str, key: str, value: str, known: Collection[str]) -> None:
    """Raise :class:`ConfigError` with the known names and the closest one unless ``value`` is known."""
    if value in known:
        return
    close = difflib.get_close_matches(value, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"{source}: {key}: unknown name {value!r}; known: {', '.join(known)}{hint}")


def _check_charters(source: str, document: ScenarioDocument) -> None:
    """Vehicles on a site, and such without agreement, have one charter that never changes."""
    if document.map.site is not None or document.planner == "reactive":
        for key in ("fleets", "rollout"):
            if getattr(document, key):
                raise ConfigError(f"{source}: {key}: only vehicles that agree in lanes meet under several charters")
    if document.demand.vehicles is not None:
        known = {entry.id for entry in document.demand.vehicles}
        for key, entries in (("fleets", document.fleets), ("rollout", document.rollout)):
            named = [name for entry in entries for name in entry.vehicles or ()]
            stray = next((name for name in named if name not in known), None)
            if stray is not None:
                names = ", ".join(sorted(known))
                raise ConfigError(f"{source}: {key}: no vehicle {stray!r} in demand.vehicles; known: {names}")


def _check_map(source: str, spec: MapSpec) -> None:
    given = [name for name in ("builtin", "commonroad", "site") if getattr(spec, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ConfigError(f"{source}: map: give one of builtin, commonroad, site (there is {found})")
    if spec.builtin is None and spec.parameters():
        name = next(iter(spec.parameters()))
        raise ConfigError(f"{source}: map.{name}: only a built-in map has parameters")
    if spec.builtin is not None:
        check_name(source, "map.builtin", spec.builtin, BUILTIN_MAPS)
        known = inspect.signature(BUILTIN_MAPS[spec.builtin]).parameters
        for name in spec.parameters():
            if name not in known:
                raise ConfigError(
                    f"{source}: map.{name}: map {spec.builtin} has no such parameter; it has {', '.join(known)}"
                )


def _check_demand(source: str, document: ScenarioDocument) -> None:
    demand = document.demand
    given = [name for name in demand.__struct_fields__ if getattr(demand, name) is not None]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise ConfigError(
            f"{source}: demand: give exactly one of {', '.join(demand.__struct_fields__)} (there is {found})"
        )
    if demand.recorded is False:
        raise ConfigError(f"{source}: demand.recorded: false asks for no vehicles; give another demand")
    if demand.recorded and document.map.commonroad is None:
        raise ConfigError(f"{source}: demand.recorded: only a CommonRoad map has recorded vehicles")
    if isinstance(demand.count, int) and not 1 <= demand.count <= 10_000:
        raise ConfigError(f"{source}: demand.count: {demand.count} is not in 1..10000")
    for key, part in (("poisson", demand.poisson), ("count", demand.count)):
        if part is not None and not isinstance(part, int):
            _check_turning(f"{source}: demand.{key}.turning", part.turning)
    _check_vehicles(source, demand)
    check_tasks(source, document)


def _check_turning(where: str, turning: Turning) -> None:
    total = turning.left + turning.straight + turning.right + turning.u_turn
    if abs(total - 1.0) > 1e-6:
        raise ConfigError(f"{where}: shares add up to {total:g}, not to 1")


def _check_vehicles(source: str, demand: Demand) -> None:
    seen: set[str] = set()
    if demand.vehicles is not None and not demand.vehicles:
        raise ConfigError(f"{source}: demand.vehicles: the list is empty")
    for index, entry in enumerate(demand.vehicles or ()):
        where = f"{source}: demand.vehicles[{index}]"
        if entry.id in seen:
            raise ConfigError(f"{where}.id: {entry.id!r} is used twice")
        seen.add(entry.id)
        if (entry.path is None) == (entry.approach is None or entry.movement is None):
            raise ConfigError(f"{where}: {entry.id} needs approach and movement, or path (not both)")
        check_name(where, "role", entry.role, ROLES)
        if entry.movement is not None:
            check_name(where, "movement", entry.movement, MOVEMENTS)
        if entry.role == "honest" and not entry.yields:
            raise ConfigError(f"{where}.yields: only a legacy vehicle may run the junction; set role: legacy")


def _check_mechanism(source: str, document: ScenarioDocument) -> None:
    for index, urgency in enumerate(document.urgency):
        _check_legacy(f"{source}: urgency[{index}]", urgency)
    for index, attacker in enumerate(document.attackers):
        _check_legacy(f"{source}: attackers[{index}]", attacker)
    base = document.planner.partition("+")[0]
    if document.mechanism != "first_come" and base not in RANKED_PLANNERS:
        raise ConfigError(
            f"{source}: mechanism: {document.mechanism} needs a planner whose order it can decide:"
            f" {' or '.join(RANKED_PLANNERS)} (planner is {document.planner})"
        )
    if document.map.site is not None and (document.mechanism != "first_come" or document.attackers):
        raise ConfigError(f"{source}: mechanism: vehicles on a site go by arrival; leave mechanism and attackers out")


def _check_legacy(where: str, legacy: Legacy | Urgency | Attacker) -> None:
    if (legacy.vehicle is None) == (legacy.share is None):
        raise ConfigError(f"{where}: give vehicle or share, exactly one")
    if legacy.vehicle is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", legacy.vehicle):
        raise ConfigError(f"{where}.vehicle: {legacy.vehicle!r} is not a vehicle id")


def _check_polygon(where: str, polygon: Sequence[Point]) -> None:
    if len(polygon) < 3:
        raise ConfigError(f"{where}: a polygon needs at least 3 corners; this one has {len(polygon)}")
    corners = np.asarray(polygon, np.float64)
    side = np.roll(corners, -1, axis=0) - corners
    following = np.roll(side, -1, axis=0)
    turns = side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0]
    winding = float(np.sum(np.arctan2(turns, np.sum(side * following, axis=1))))
    if not (np.all(turns > 0.0) or np.all(turns < 0.0)) or abs(abs(winding) - 2.0 * np.pi) > 1e-6:
        raise ConfigError(f"{where}: the polygon is not convex (or has corners in a line); split it")
