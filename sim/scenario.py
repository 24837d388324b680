"""Scenarios by name or file: a map, who comes, the network and its faults, and what is expected of the run.

Files that a scenario names are looked up relative to the scenario's own folder. The records are those of
``sim/scenario_records.py``.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TypeVar

import msgspec

from fleet.config import load_yaml
from fleet.errors import ConfigError
from sim.scenario_checks import check_document
from sim.scenario_records import (
    Attacker,
    Control,
    CountDemand,
    Demand,
    FleetSpec,
    Legacy,
    MapSpec,
    PoissonDemand,
    Rollout,
    Scenario,
    ScenarioDocument,
    SiteSpec,
    SpacingChoice,
    TaskDemand,
    Turning,
    Urgency,
    VehicleDemand,
)

__all__ = [
    "SCENARIOS",
    "Attacker",
    "Control",
    "CountDemand",
    "Demand",
    "Legacy",
    "MapSpec",
    "Overrides",
    "PoissonDemand",
    "Scenario",
    "ScenarioDocument",
    "SiteSpec",
    "SpacingChoice",
    "TaskDemand",
    "Turning",
    "Urgency",
    "VehicleDemand",
    "load_scenario",
    "override",
    "scenario_names",
]

Named = TypeVar("Named", VehicleDemand, TaskDemand)
Chartered = TypeVar("Chartered", FleetSpec, Rollout)

SCENARIOS = Path(__file__).parent / "scenarios"


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line may change; None leaves the scenario's value."""

    seed: int | None = None
    world: str | None = None
    planner: str | None = None
    mechanism: str | None = None
    spacing: str | None = None
    controller: str | None = None
    loss: float | None = None
    burst: float | None = None
    delay_ms: float | None = None
    dead: bool | None = None
    duration_s: float | None = None


_OPTIONS = {
    "seed": ("--seed", ("seed",)),
    "world": ("--world", ("world",)),
    "planner": ("--planner", ("planner",)),
    "mechanism": ("--mechanism", ("mechanism",)),
    "spacing": ("--spacing", ("spacing", "preset")),
    "controller": ("--controller", ("control", "controller")),
    "loss": ("--loss", ("network", "loss")),
    "burst": ("--burst", ("network", "burst_mean")),
    "delay_ms": ("--delay-ms", ("network", "delay_ms")),
    "dead": ("--dead-radio", ("network", "dead")),
    "duration_s": ("--duration", ("duration_s_max",)),
}


def scenario_names() -> tuple[str, ...]:
    """The ready scenarios, sorted."""
    return tuple(sorted(path.stem for path in SCENARIOS.glob("*.yaml")))


def load_scenario(name_or_path: str) -> Scenario:
    """A ready scenario by name, a scenario file (YAML), or a CommonRoad file (XML).

    A CommonRoad file becomes a scenario whose fleet is its recorded vehicles; if it has none, eight
    vehicles that fit its lanes.

    Raises
    ------
    ConfigError
        One line with file, line, key, value and limit.
    """
    if name_or_path in scenario_names():
        return _from_yaml(SCENARIOS / f"{name_or_path}.yaml")
    path = Path(name_or_path)
    suffix = path.suffix.lower()
    if suffix not in {".yaml", ".yml", ".xml"}:
        raise ConfigError(_unknown(name_or_path))
    if not path.is_file():
        raise ConfigError(f"{path}: No such file" if not path.is_dir() else f"{path}: is a folder, not a scenario")
    return _from_commonroad(path) if suffix == ".xml" else _from_yaml(path)


def override(scenario: Scenario, overrides: Overrides) -> Scenario:
    """``scenario`` with the options given on the command line; each is checked as the file's own value is.

    Raises
    ------
    ConfigError
        The value is out of range; the text names the option.
    """
    data = msgspec.to_builtins(scenario)
    for field, (option, keys) in _OPTIONS.items():
        value = getattr(overrides, field)
        if value is None:
            continue
        record = data
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value
        try:
            changed = msgspec.convert(data, Scenario)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{option} {value}: {str(error).split(' - at')[0]}") from error
        check_document(changed, option)
        scenario = changed
    return scenario


def _unknown(name: str) -> str:
    names = scenario_names()
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no scenario named {name!r}; known: {', '.join(names)}, or the path of a .yaml or .xml file{hint}"


def _from_yaml(path: Path) -> Scenario:
    document = load_yaml(path, ScenarioDocument)
    check_document(document, str(path))
    map_spec, demand, vehicle = document.map, document.demand, document.vehicle
    if map_spec.commonroad is not None:
        file = _beside(path, "map.commonroad", map_spec.commonroad)
        _scan_commonroad(Path(file))
        map_spec = msgspec.structs.replace(map_spec, commonroad=file)
    if demand.csv is not None:
        demand = msgspec.structs.replace(demand, csv=_beside(path, "demand.csv", demand.csv))
    if demand.vehicles is not None:
        resolved = tuple(_own_vehicle(path, entry) for entry in demand.vehicles)
        demand = msgspec.structs.replace(demand, vehicles=resolved)
    if demand.tasks is not None:
        demand = msgspec.structs.replace(demand, tasks=tuple(_own_vehicle(path, task) for task in demand.tasks))
    document = _own_charters(path, document)
    return _complete(
        msgspec.structs.replace(document, map=map_spec, demand=demand, vehicle=_vehicle_file(path, "vehicle", vehicle)),
        path,
    )


def _own_charters(path: Path, document: ScenarioDocument) -> ScenarioDocument:
    """``document`` with the charters that it names as absolute paths."""

    def beside(key: str, entry: Chartered) -> Chartered:
        return msgspec.structs.replace(entry, charter=_beside(path, key, entry.charter))

    return msgspec.structs.replace(
        document,
        charter=None if document.charter is None else _beside(path, "charter", document.charter),
        fleets=tuple(beside("fleets.charter", fleet) for fleet in document.fleets),
        rollout=tuple(beside("rollout.charter", rollout) for rollout in document.rollout),
    )


def _from_commonroad(path: Path) -> Scenario:
    recorded = _scan_commonroad(path)
    demand = Demand(recorded=True) if recorded else Demand(count=8)
    document = ScenarioDocument(
        name=re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)[:64],
        description=f"Recorded vehicles of {path.name}" if recorded else f"Eight vehicles on the roads of {path.name}",
        map=MapSpec(commonroad=str(path.resolve())),
        demand=demand,
        vehicle="fitting",
    )
    return _complete(document, path)


def _complete(document: ScenarioDocument, path: Path) -> Scenario:
    fields = {name: getattr(document, name) for name in ScenarioDocument.__struct_fields__}
    return Scenario(**fields, source=str(path), source_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _beside(scenario: Path, key: str, named: str) -> str:
    file = (scenario.parent / named).resolve()
    if not file.is_file():
        raise ConfigError(f"{scenario}: {key}: {named}: No such file (looked for {file})")
    return str(file)


def _vehicle_file(scenario: Path, key: str, named: str) -> str:
    return _beside(scenario, key, named) if Path(named).suffix in {".yaml", ".yml"} else named


def _own_vehicle(scenario: Path, entry: Named) -> Named:
    if entry.vehicle is None:
        return entry
    return msgspec.structs.replace(entry, vehicle=_vehicle_file(scenario, f"demand: vehicle {entry.id}", entry.vehicle))


def _scan_commonroad(path: Path) -> bool:
    """Whether the file holds moving road users; well-formedness is checked on the way."""
    moving = False
    try:
        for event, element in ET.iterparse(path, events=("start", "end")):
            if event == "start":
                if element.tag == "dynamicObstacle":
                    moving = True
            elif element.tag == "role" and (element.text or "").strip() == "dynamic":
                moving = True  # version 2018b: <obstacle><role>dynamic</role>
            if event == "end":
                element.clear()
    except ET.ParseError as error:
        line = error.position[0]
        raise ConfigError(f"{path}:{line}: not valid XML ({error}); is the file complete?") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return moving
