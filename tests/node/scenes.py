"""The built-in four-way junction with everything a node is made of, and the values that tests put into it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fleet.charter.model import default_charter
from fleet.node.bodies import planner_body, planning_body, wire_body
from fleet.node.charter_book import Line
from fleet.node.driver import LOOK_MS, Node
from fleet.node.judge import ZoneJudge
from fleet.node.kernel import Kernel
from fleet.node.lanes import Lanes
from fleet.node.plan_book import PlanBook
from fleet.node.planning import ZonePlanner
from fleet.node.road import Road, Roads
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry, Intent, Proposal, VehicleBody
from hardware.base import Health, Track, VehicleState
from hardware.mock import MockVehicle
from hardware.vehicle import load_vehicle
from planners.check_fast import FastVerifier
from planners.conflicts import ConflictTables
from planners.first_come import FirstCome
from planners.interface import Body, JointPlanner
from planners.timed_path import TimedPath
from planners.zone_map import Passage, ZoneMap
from planners.zones import build_zone_map
from sim.fleet_node import NodeFactory
from sim.maps.builtin import build
from sim.stage import Actor, Stage

CAR = load_vehicle("car")
FRONT_M = CAR.body.length_m - CAR.body.rear_overhang_m
REAR_M = CAR.body.rear_overhang_m
CENTRE_M = 0.5 * (FRONT_M - REAR_M)
"""From the rear axle to the centre of the outline."""
ZONE = "zone0"
CHARTER = default_charter().charter_id()
PERIOD_MS = 50
NS = 1_000_000


@dataclass(frozen=True)
class Junction:
    """What is the same in every test; all of it is stateless or a memory of pure functions."""

    zone_map: ZoneMap
    conflicts: ConflictTables
    roads: Roads
    book: PlanBook
    lanes: Lanes
    verifier: FastVerifier
    planner: FirstCome

    def passage(self, path_id: str) -> Passage:
        return self.zone_map.passages[path_id][0]

    def around(
        self, tracks: Sequence[Track] = (), heard: Sequence[tuple[str, tuple[float, float]]] = ()
    ) -> Surroundings:
        found = Surroundings(self.roads, 1.0)
        found.update(0, tracks, heard)
        return found

    def judge(
        self, name: str, tracks: Sequence[Track] = (), heard: Sequence[tuple[str, tuple[float, float]]] = ()
    ) -> ZoneJudge:
        judge = ZoneJudge(name, self.verifier, self.book, self.lanes, self.around(tracks, heard))
        judge.enter(ZONE)
        return judge

    def zone_planner(self, planner: JointPlanner | None = None) -> ZonePlanner:
        found = ZonePlanner(planner or self.planner, self.book, self.lanes)
        found.enter(ZONE)
        return found


@cache
def junction() -> Junction:
    """The four-way junction that ships, with cars on all of its paths."""
    source = build("four_way")
    wide = planning_body(body("any"))
    pairs = [(path.path_id, wide.footprint, wide.budget) for path in source.paths]
    zone_map, conflicts = build_zone_map(source.name, source.paths, pairs, lanes=source.lanes)
    roads = Roads(zone_map)
    book = PlanBook(roads)
    return Junction(
        zone_map, conflicts, roads, book, Lanes(conflicts, book), FastVerifier(zone_map), FirstCome(zone_map, conflicts)
    )


def body(name: str) -> Body:
    return planner_body(name, CAR)


# --- plans


def approach(
    name: str, path_id: str, s_m: float, v_mps: float, *, now_ms: int = 0, stop_s_m: float | None = None
) -> TimedPath:
    """The own plan of a car: to its line, or to ``stop_s_m`` (inf: through)."""
    stop = junction().passage(path_id).line_s_m if stop_s_m is None else stop_s_m
    return junction().planner.approach(
        planning_body(body(name)), path_id, (s_m, v_mps, 0.0), now_ms=now_ms, stop_s_m=stop, leader=None
    )


def through(name: str, path_id: str, s_m: float, v_mps: float, *, now_ms: int = 0) -> TimedPath:
    """A plan straight through the zone, whoever else is there."""
    return approach(name, path_id, s_m, v_mps, now_ms=now_ms, stop_s_m=math.inf)


def before_line(path_id: str, room_m: float) -> float:
    """Where the rear axle is when the front bumper is ``room_m`` short of the line."""
    return junction().passage(path_id).line_s_m - FRONT_M - room_m


# --- what is heard


def intent(
    name: str, plan: TimedPath | bytes, *, phase: Phase = Phase.APPROACH, stamp_ms: int = 0, arrived_ms: int = 0,
    held: bytes = b"", wire: VehicleBody | None = None,
) -> Intent:  # fmt: skip
    raw = plan if isinstance(plan, bytes) else plan.encode()
    path_id = "" if isinstance(plan, bytes) else plan.path_id
    return Intent(
        vehicle=name, seq=stamp_ms, stamp_ms=stamp_ms, phase=phase, path_id=path_id, body=wire or wire_body(CAR),
        arrived_ms=arrived_ms, eta_ms=stamp_ms, urgency=0, charter_id=CHARTER,
        map_digest=bytes.fromhex(junction().zone_map.digest)[:8], ready=not held, plan=raw, held=held,
        lease_end_ms=stamp_ms + 30_000 if held else 0, live=(held,) if held else (), dead=(), certificates=(),
        votes_known=(), roster=(), perceived_count=0, perceived=(),
    )  # fmt: skip


def tube(plan: TimedPath, kind: str = "approach", *, lease_end_ms: int = 0) -> LiveTube:
    proposal = b"\7" * 32 if kind in {"promise", "certificate"} else b""
    return LiveTube(plan.vehicle, plan.encode(), lease_end_ms, proposal, kind, wire_body(CAR))


def local(plan: TimedPath, now_ms: int = 0) -> Local:
    return Local(now_ms, Phase.APPROACH, plan.path_id, 0, now_ms, plan.encode(), wants_commit=True)


def proposal(
    entries: Sequence[Entry], *, coordinator: str | None = None, now_ms: int = 0, decide_ms: int = 300
) -> Proposal:
    members = tuple(sorted({entry.vehicle for entry in entries} | ({coordinator} if coordinator else set())))
    return Proposal(
        coordinator=coordinator or entries[0].vehicle, epoch=1, stamp_ms=now_ms, decide_by_ms=now_ms + decide_ms,
        members=members, batch=tuple(entries), charter_id=CHARTER, commitments_digest=bytes(8),
    )  # fmt: skip


def planned(
    approaches: Mapping[str, TimedPath], *, others: Sequence[LiveTube] = (), decide_ms: int = 300
) -> PlannedBatch:
    """What the planner that ships offers vehicles on these own plans, at time 0."""
    known = [*(tube(plan) for plan in approaches.values()), *others]
    wanted = [intent(name, plan, arrived_ms=k) for k, (name, plan) in enumerate(approaches.items())]
    return junction().zone_planner().plan(wanted, known, 0, decide_ms)


def entries_of(batch: PlannedBatch) -> list[Entry]:
    return [Entry(*entry) for entry in batch.entries]


# --- what is seen


def track(path_id: str, front_s_m: float, speed_mps: float, *, track_id: int = 1, length_m: float = 5.0) -> Track:
    """A road user on the centre line of a path with its front bumper at ``front_s_m``."""
    x, y, yaw = junction().roads.get(path_id).pose(front_s_m - 0.5 * length_m)
    return Track(track_id, 0, x, y, yaw, speed_mps, length_m, 1.8, 0.1)


# --- what is driven


def mock(path_id: str, s_m: float, v_mps: float) -> MockVehicle:
    """An ideal car on the centre line, ready to be driven."""
    x, y, yaw = junction().roads.get(path_id).pose(s_m)
    vehicle = MockVehicle(CAR, (x, y, yaw, v_mps))
    vehicle.gate.configure()
    vehicle.gate.activate()
    return vehicle


def state_at(path_id: str, s_m: float, v_mps: float, *, stamp_ms: int = 0, health: Health = Health.OK) -> VehicleState:
    x, y, yaw = junction().roads.get(path_id).pose(s_m)
    return VehicleState(stamp_ms * NS, x, y, yaw, v_mps, 0.0, 0.0, 0.0, 0.0, health)


def kernel_on(plan: TimedPath, s_m: float, *, committed: bool = False, line_s_m: float | None = None) -> Kernel:
    road = junction().roads.get(plan.path_id)
    kernel = Kernel(CAR, PERIOD_MS * 1e-3, 1.0)
    kernel.status.s_m = s_m
    line = junction().passage(plan.path_id).line_s_m if line_s_m is None else line_s_m
    kernel.follow(road, plan, junction().book.arrays(plan), committed=committed, line_s_m=line)
    return kernel


def true_s_m(road: Road, vehicle: MockVehicle, near_s_m: float) -> float:
    """Where an ideal car's rear axle is."""
    x, y, *_ = vehicle.truth
    return road.project(x, y, near_s_m)[0]


def drive(
    kernel: Kernel, vehicle: MockVehicle, seconds: float, *, tracks: Sequence[Track] = (), from_ms: int = 0
) -> list[tuple[float, float]]:
    """Run the kernel; (s_m of the rear axle, v_mps) at every tick."""
    around = junction().around()
    trace = []
    for now_ms in range(from_ms, from_ms + int(1000 * seconds), PERIOD_MS):
        if now_ms % LOOK_MS == 0:
            around.update(now_ms, tracks, ())
        state = vehicle.read(now_ms * NS)
        error = kernel.locate(state)
        trace.append((kernel.status.s_m, state.speed_mps))
        vehicle.write(kernel.command(now_ms * NS, state, error, around), now_ms * NS)
    return trace


class Fleet:
    """Real nodes on ideal cars, with an ideal radio or none, seeing each other exactly."""

    def __init__(
        self, starts: Mapping[str, tuple[str, float, float]], *, radio: bool, planner: JointPlanner | None = None,
        lines: Mapping[str, Line] | None = None,
    ) -> None:  # fmt: skip
        j = junction()
        actors = [Actor(n, CAR, p, 0.0, s, v, "honest", True, False) for n, (p, s, v) in starts.items()]
        stage = Stage("four_way", j.zone_map, j.conflicts, tuple(actors), (), ())
        factory = NodeFactory(stage, "first_come", 1, PERIOD_MS * 1e-3, Stopwatch(lambda: 0.0))
        if planner is not None:
            factory.assembly.charters.planners[default_charter().charter_id()] = planner
        for name, line in (lines or {}).items():
            factory.assembly.charters.assign(name, line)
        self.now_ms, self.radio = 0, radio
        self.notes: list[tuple[int, str, str, dict[str, object]]] = []
        self.vehicles = {n: mock(p, s, v) for n, (p, s, v) in starts.items()}
        self.nodes: dict[str, Node] = {}
        for actor in actors:
            name = actor.vehicle_id
            self.nodes[name] = factory.make(actor, self.vehicles[name], self._noter(name))
        self.air: list[tuple[str, bytes]] = []
        self.extra: tuple[Track, ...] = ()
        """Road users that are no nodes."""

    def _noter(self, name: str):  # noqa: ANN202 - a Noter
        return lambda now_ms, kind, detail: self.notes.append((now_ms, name, kind, dict(detail)))

    def tick(self) -> None:
        """One turn of everybody, then time passes."""
        seen = {name: self._track(k, name) for k, name in enumerate(self.nodes)}
        sent: list[tuple[str, bytes]] = []
        for name, node in self.nodes.items():
            self.vehicles[name].tracks = (*(t for other, t in seen.items() if other != name), *self.extra)
            inbox = [raw for sender, raw in self.air if sender != name] if self.radio else []
            sent += [(name, raw) for raw in node.tick(self.now_ms, inbox)]
        self.air = sent
        self.now_ms += PERIOD_MS

    def _track(self, track_id: int, name: str) -> Track:
        state = self.vehicles[name].read(self.now_ms * NS)
        x = state.x_m + CENTRE_M * math.cos(state.yaw_rad)
        y = state.y_m + CENTRE_M * math.sin(state.yaw_rad)
        return Track(track_id, self.now_ms * NS, x, y, state.yaw_rad, state.speed_mps, 5.0, 1.8, 0.1)

    def inside(self) -> list[str]:
        """Who is in the zone now."""
        found = []
        for name, node in self.nodes.items():
            passage = junction().passage(node.road.path.path_id)
            if node.front_s_m > passage.line_s_m + 0.6 and node.rear_s_m < passage.exit_s_m:
                found.append(name)
        return found
