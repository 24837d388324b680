"""Scenario files: a map, who comes, the network and its faults, and what is expected of the run.

Every record here is frozen and refuses unknown keys; ``docs/reference/scenario.md`` describes each key.
Files that a scenario names are looked up relative to the scenario's own folder.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Annotated, Any

import msgspec

from fleet.config import load_yaml
from fleet.errors import ConfigError
from sim.network import NetworkConfig
from sim.scenario_checks import check_document

SCENARIOS = Path(__file__).parent / "scenarios"

Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Point = tuple[float, float]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records of a scenario file."""


class MapSpec(_Record, frozen=True, kw_only=True):
    """Either ``builtin`` with its parameters or ``commonroad``; a parameter left out has the map's own default."""

    builtin: str | None = None
    commonroad: str | None = None
    """Path of a CommonRoad XML file, 2018b or 2020a."""
    arm_m: Positive | None = None
    """Length of each arm, from the junction's centre to its outer end."""
    lane_width_m: Positive | None = None
    speed_limit_mps: Positive | None = None
    lanes: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None
    """Per approach; of the four-way maps."""
    ring_m: Positive | None = None
    """Radius of a roundabout's centre line."""

    def parameters(self) -> dict[str, float]:
        """The parameters that were given, for the built-in map's function."""
        names = [name for name in self.__struct_fields__ if name not in {"builtin", "commonroad"}]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Turning(_Record, frozen=True, kw_only=True):
    """Shares of the movements at an approach; those that it does not have are left out and the rest rescaled."""

    left: Share = 0.25
    straight: Share = 0.5
    right: Share = 0.25
    u_turn: Share = 0.0


class PoissonDemand(_Record, frozen=True, kw_only=True):
    """Independent Poisson arrivals at the outer end of every lane of every approach."""

    vph: Positive
    """Vehicles per hour and lane."""
    until_s: Positive
    """No arrival is later than this."""
    turning: Turning = Turning()


class CountDemand(_Record, frozen=True, kw_only=True):
    """A given number of vehicles, spread evenly over the approaches."""

    vehicles: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    headway_s: Positive = 3.0
    """Between two arrivals on one approach; up to a third of it is drawn at random."""
    turning: Turning = Turning()


class VehicleDemand(_Record, frozen=True, kw_only=True):
    """One explicit vehicle: by ``approach`` and ``movement``, or by ``path``."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    approach: str | None = None
    movement: str | None = None
    path: str | None = None
    arrival_s: NonNegative = 0.0
    start_s_m: NonNegative | None = None
    """Where its rear axle starts along the path; left out: at the outer end."""
    speed_mps: NonNegative | None = None
    """Left out: the speed limit there, or less where the vehicle is slower."""
    vehicle: str | None = None
    """A vehicle file or name, where it is another than the scenario's."""
    role: str = "honest"
    """honest, or legacy (without a radio)."""
    yields: bool = True
    """Of a legacy vehicle: false runs the junction."""


class Demand(_Record, frozen=True, kw_only=True):
    """Exactly one of these."""

    poisson: PoissonDemand | None = None
    csv: str | None = None
    """Path of a table ``arrival_s,approach,movement``."""
    count: int | CountDemand | None = None
    vehicles: tuple[VehicleDemand, ...] | None = None
    recorded: bool | None = None
    """The recorded vehicles of a CommonRoad map."""

    def kind(self) -> str:
        """The key that was given (the first, where there are several)."""
        return next((name for name in self.__struct_fields__ if getattr(self, name) is not None), "")


class Legacy(_Record, frozen=True, kw_only=True):
    """Vehicles of the demand that have no radio: one by its id, or a share drawn from the seed."""

    vehicle: str | None = None
    share: Share | None = None
    yields: bool = True
    """False: they run the junction, whoever comes."""


class Control(_Record, frozen=True, kw_only=True):
    """Rates of the nodes."""

    period_s: Annotated[float, msgspec.Meta(ge=0.01, le=0.2)] = 0.05
    """Between two ticks of a node."""
    log_period_s: Annotated[float, msgspec.Meta(ge=0.005, le=0.05)] = 0.05
    """Between two rows of trajectories.parquet."""


def default_expectations() -> dict[str, int | float | str]:
    return {"contacts": 0, "finished": "all"}


class ScenarioDocument(_Record, frozen=True, kw_only=True):
    """One scenario file."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    map: MapSpec
    demand: Demand
    description: str = ""
    vehicle: str = "car"
    """Name or path of a vehicle file; ``fitting`` takes the largest that ships and fits the map's lanes."""
    world: str = "bullet"
    planner: str = "first_come"
    mechanism: str = "first_come"
    network: NetworkConfig = NetworkConfig()
    legacy: tuple[Legacy, ...] = ()
    attackers: tuple[dict[str, Any], ...] = ()
    """Reserved; must be empty."""
    obstacles: tuple[tuple[Point, ...], ...] = ()
    """Static convex polygons in W, metres."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    duration_s_max: Annotated[float, msgspec.Meta(gt=0.0, le=86_400.0)] = 300.0
    """The run ends when everybody has left, or then."""
    control: Control = Control()
    expectations: dict[str, int | float | str] = msgspec.field(default_factory=default_expectations)
    """Metric -> bound; names as in metrics.json, with ``_min`` or ``_max`` behind for a bound on one side. A
    miss makes the exit status 3. Left out: no contact, and everybody finishes."""


class Scenario(ScenarioDocument, frozen=True, kw_only=True):
    """A scenario that has been read: its files are absolute paths and exist.

    ``source`` is the file that was read and ``source_sha256`` the digest of its bytes.
    """

    source: str
    source_sha256: str


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line may change; None leaves the scenario's value."""

    seed: int | None = None
    world: str | None = None
    planner: str | None = None
    mechanism: str | None = None
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
    return _complete(
        msgspec.structs.replace(document, map=map_spec, demand=demand, vehicle=_vehicle_file(path, "vehicle", vehicle)),
        path,
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


def _own_vehicle(scenario: Path, entry: VehicleDemand) -> VehicleDemand:
    if entry.vehicle is None:
        return entry
    return msgspec.structs.replace(entry, vehicle=_vehicle_file(scenario, f"demand.vehicles {entry.id}", entry.vehicle))


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
