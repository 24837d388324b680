"""The records of a scenario file: what each key is, and its default.

Every record is frozen and refuses unknown keys; ``docs/reference/scenario.md`` describes each key for users.
What types alone cannot say is checked in ``sim/scenario_checks.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from planners.spacing import PRESETS, Spacing
from sim.crashes import Crash
from sim.network import NetworkConfig

Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Point = tuple[float, float]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all records of a scenario file."""


class SiteSpec(_Record, frozen=True, kw_only=True):
    """A depot, a car park, a blocked lane: an area without lanes; the scenario's ``obstacles`` stand on it."""

    border_m: tuple[float, float, float, float]
    """x low, y low, x high, y high: no vehicle leaves it."""
    discs: tuple[tuple[float, float, Positive], ...] = ()
    """Round obstacles: x_m, y_m, radius_m."""
    speed_mps: Annotated[float, msgspec.Meta(gt=0.0, le=2.0)] = 1.4
    """At which plans drive, ahead and backwards; stopping distances are proven for at most 2 m/s."""
    accel_mps2: Annotated[float, msgspec.Meta(gt=0.0, le=2.0)] = 1.4
    turn_radius_m: Positive | None = None
    """Smallest radius of plans; left out: what every vehicle here can turn with 0.85 of its steering."""


class MapSpec(_Record, frozen=True, kw_only=True):
    """``builtin`` with its parameters, ``commonroad`` or ``site``; a parameter left out has the map's own default."""

    builtin: str | None = None
    commonroad: str | None = None
    """Path of a CommonRoad XML file, 2018b or 2020a."""
    site: SiteSpec | None = None
    arm_m: Positive | None = None
    """Length of each arm, from the junction's centre to its outer end."""
    lane_width_m: Positive | None = None
    speed_limit_mps: Positive | None = None
    lanes: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None
    """Per approach; of the four-way maps."""
    spacing_m: Positive | None = None
    """Between the junctions of a corridor or grid, from middle to middle."""
    ring_m: Positive | None = None
    """Radius of a roundabout's centre line."""

    def parameters(self) -> dict[str, float]:
        """The parameters that were given, for the built-in map's function."""
        names = [name for name in self.__struct_fields__ if name not in {"builtin", "commonroad", "site"}]
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


class TaskDemand(_Record, frozen=True, kw_only=True):
    """One vehicle on a site: from a pose to a pose, (x_m, y_m, yaw_rad) of its rear axle."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,24}$")]
    start: tuple[float, float, float]
    goal: tuple[float, float, float]
    leaves: bool = False
    """Leaves the site when it has arrived, such as through a gate; otherwise it stays there."""
    vehicle: str | None = None
    """A vehicle file or name, where it is another than the scenario's."""


class Demand(_Record, frozen=True, kw_only=True):
    """Exactly one of these."""

    poisson: PoissonDemand | None = None
    csv: str | None = None
    """Path of a table ``arrival_s,approach,movement``."""
    count: int | CountDemand | None = None
    vehicles: tuple[VehicleDemand, ...] | None = None
    recorded: bool | None = None
    """The recorded vehicles of a CommonRoad map."""
    tasks: tuple[TaskDemand, ...] | None = None
    """The vehicles of a site."""

    def kind(self) -> str:
        """The key that was given (the first, where there are several)."""
        return next((name for name in self.__struct_fields__ if getattr(self, name) is not None), "")


class Legacy(_Record, frozen=True, kw_only=True):
    """Vehicles of the demand that have no radio: one by its id, or a share drawn from the seed."""

    vehicle: str | None = None
    share: Share | None = None
    yields: bool = True
    """False: they run the junction, whoever comes."""


class Urgency(_Record, frozen=True, kw_only=True):
    """Vehicles that are urgent: one by its id, or a share drawn from the seed."""

    vehicle: str | None = None
    share: Share | None = None
    level: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    """How urgent in truth; 1: a second counts as ten of a vehicle without urgency."""
    evidence: Literal["none", "ticket", "emergency"] = "none"
    """What it can show for it, signed by the office of the simulation."""


class Attacker(_Record, frozen=True, kw_only=True):
    """Vehicles that use the mechanism against the others: one by its id, or a share drawn from the seed."""

    kind: Literal["overbidder", "whitewasher", "late_arrival_liar"]
    vehicle: str | None = None
    share: Share | None = None
    defence: bool = True
    """False switches off what keeps this attack from paying (bids covered, accounts bound, arrivals witnessed)."""


class Control(_Record, frozen=True, kw_only=True):
    """Rates of the nodes, and how they follow plans."""

    period_s: Annotated[float, msgspec.Meta(ge=0.01, le=0.2)] = 0.05
    """Between two ticks of a node."""
    log_period_s: Annotated[float, msgspec.Meta(ge=0.005, le=0.05)] = 0.05
    """Between two rows of trajectories.parquet."""
    controller: str = "feedback"
    """What follows plans; see ``fleet list controllers``."""
    store: Literal["memory", "files"] = "memory"
    """Where the nodes keep what they have promised; ``files``: in the run's folder, flushed to the disk each time."""


class SpacingChoice(_Record, frozen=True, kw_only=True):
    """What plans keep between vehicles beyond what the verifier insists on; single values go before the preset's."""

    preset: Literal["comfortable", "tight"] = "comfortable"
    crossing_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] | None = None
    """Between two uses of a place from different lanes."""
    headway_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] | None = None
    standstill_m: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] | None = None
    """Both behind another vehicle in a lane."""

    @property
    def spacing(self) -> Spacing:
        """As planners take it."""
        given = {name: getattr(self, name) for name in ("crossing_s", "headway_s", "standstill_m")}
        return replace(PRESETS[self.preset], **{name: value for name, value in given.items() if value is not None})


_Names = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")], ...], msgspec.Meta(min_length=1)
]


class FleetSpec(_Record, frozen=True, kw_only=True):
    """Vehicles of the demand that have a charter of their own."""

    charter: str
    vehicles: _Names


class Rollout(_Record, frozen=True, kw_only=True):
    """A charter that is given out at ``at_s``; each vehicle takes it up when that is safe."""

    at_s: NonNegative
    charter: str
    vehicles: _Names | None = None
    """Left out: all that have no charter of their own by ``fleets``."""


class GroupOf(_Record, frozen=True, kw_only=True):
    """Vehicles that have an operator, or a software, in common."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_. -]{1,32}$")]
    vehicles: _Names


class GroupSpec(_Record, frozen=True, kw_only=True):
    """The monitors of the group; thresholds are the charter's."""

    watch: bool = False
    responses: bool = True
    """False: findings are logged and nothing follows, to show what they are for."""
    period_s: Annotated[float, msgspec.Meta(ge=0.1, le=1.0)] = 0.5
    """Between two snapshots."""
    operators: tuple[GroupOf, ...] = ()
    software: tuple[GroupOf, ...] = ()
    """Of vehicles that are not named: the operator is the charter's name, the software the planner's."""
    insist: bool = False
    """Only to show a gridlock, with planner right_before_left: nobody waves another through a circle of rights of
    way."""


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
    charter: str | None = None
    """Path of a ratified charter; left out: the built-in one."""
    allow_draft: bool = False
    """Also take charters that are drafts."""
    fleets: tuple[FleetSpec, ...] = ()
    rollout: tuple[Rollout, ...] = ()
    """Charters given out during the run."""
    start_unix_s: Annotated[int, msgspec.Meta(ge=0, le=2**40)] | None = None
    """When the run is taken to start, for the validity of charters; left out: now."""
    spacing: SpacingChoice = SpacingChoice()
    network: NetworkConfig = NetworkConfig()
    legacy: tuple[Legacy, ...] = ()
    faults: tuple[Crash, ...] = ()
    """Nodes that die, and come back."""
    urgency: tuple[Urgency, ...] = ()
    """Who is urgent; a vehicle takes the first entry that fits it."""
    claims: Literal["policy", "truth", "selfish"] = "policy"
    """What honest vehicles say: what is best under the mechanism, the truth, or always the most."""
    attackers: tuple[Attacker, ...] = ()
    group: GroupSpec = GroupSpec()
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
