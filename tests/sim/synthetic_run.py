"""A small recorded run made without planner, protocol or physics: material for tests of records and report.

Vehicles cross a four-way junction one at a time, first come first served; each drives towards its slot
with bounded acceleration, so that delays, stops and encounters are plausible and known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import numpy as np

from planners.zone_map import Passage, Path, Zone, ZoneMap
from sim.records import RunLog, Summary, VehicleInfo

ARM_M, LANE_M, STEP_M, LIMIT_MPS = 90.0, 3.5, 0.25, 13.89
BOX_M = 9.0
ARMS = {"N": 0, "W": 1, "S": 2, "E": 3}
LENGTH_M, WIDTH_M, WHEELBASE_M, REAR_M = 4.5, 1.8, 2.7, 0.9


def _path(origin: str, destination: str) -> Path:
    """From an arm to another; drawn for the southern arm and turned."""
    quarter = (ARMS[destination] - ARMS[origin]) % 4
    half = LANE_M / 2
    start = (half, -BOX_M)
    end, heading = {2: ((half, BOX_M), 90.0), 1: ((BOX_M, -half), 0.0), 3: ((-BOX_M, half), 180.0)}[quarter]
    u = np.linspace(0.0, 1.0, 400)[:, None]
    pull = 0.55 * (BOX_M + half if quarter == 3 else BOX_M - half if quarter == 1 else BOX_M)
    c, s = math.cos(math.radians(heading)), math.sin(math.radians(heading))
    p = np.array([start, (start[0], start[1] + pull), (end[0] - pull * c, end[1] - pull * s), end])
    curve = (1 - u) ** 3 * p[0] + 3 * u * (1 - u) ** 2 * p[1] + 3 * u * u * (1 - u) * p[2] + u**3 * p[3]
    before = np.column_stack([np.full(300, half), np.linspace(-ARM_M, -BOX_M, 300, endpoint=False)])
    after = np.array(end) + np.linspace(0.0, ARM_M - BOX_M, 300)[1:, None] * np.array([c, s])
    dense = np.vstack([before, curve, after])
    turn = {"S": 0.0, "E": 90.0, "N": 180.0, "W": 270.0}[origin]
    c, s = round(math.cos(math.radians(turn))), round(math.sin(math.radians(turn)))
    dense = dense @ np.array([[c, s], [-s, c]], dtype=np.float64)
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    grid = np.arange(0.0, at[-1], STEP_M)
    x, y = np.interp(grid, at, dense[:, 0]), np.interp(grid, at, dense[:, 1])
    yaw = np.arctan2(np.gradient(y), np.gradient(x))
    full = np.full(len(grid), LIMIT_MPS)
    movement = {2: "straight", 1: "right", 3: "left"}[quarter]
    return Path(
        f"{origin}-{destination}", origin, destination, movement, STEP_M, x, y, yaw, 0.0 * x, full, 0.0 * x + LANE_M / 2
    )


def four_way() -> ZoneMap:
    """A four-way junction with one zone, a square of 18 m."""
    paths = {p.path_id: p for p in (_path(a, b) for a in ARMS for b in ARMS if a != b)}
    passages = {}
    for path_id, path in paths.items():
        inside = np.flatnonzero((np.abs(path.x_m) < BOX_M) & (np.abs(path.y_m) < BOX_M))
        passages[path_id] = (Passage("center", path_id, inside[0] * STEP_M - 1.0, inside[-1] * STEP_M + 1.0),)
    b, w = BOX_M, LANE_M
    zone = Zone("center", (((b, b), (-b, b), (-b, -b), (b, -b)),), tuple(p[0] for p in passages.values()))
    lanes = [((-w, -ARM_M), (0.0, -ARM_M), (0.0, -b), (-w, -b)), ((0.0, -ARM_M), (w, -ARM_M), (w, -b), (0.0, -b))]
    turned = []
    for k in range(4):
        c, s = round(math.cos(k * math.pi / 2)), round(math.sin(k * math.pi / 2))
        turned += [tuple((c * x - s * y, s * x + c * y) for x, y in lane) for lane in lanes]
    turned.append(((b, b), (-b, b), (-b, -b), (b, -b)))
    return ZoneMap("four_way", "5e" * 32, paths, {"center": zone}, passages, tuple(turned))


@dataclass(slots=True)
class Car:
    name: str
    path: Path
    line_s: float
    exit_s: float
    arrival_s: float
    role: str = "honest"
    s: float = 0.0
    v: float = LIMIT_MPS
    a: float = 0.0
    slot_s: float | None = None
    cleared: bool = False
    announced: bool = False
    before: Car | None = None
    """Who has the slot before; nobody enters until that one is clear."""
    log: dict[str, float] = field(default_factory=dict)

    def pose(self) -> tuple[float, float, float]:
        grid = np.arange(len(self.path.x_m)) * STEP_M
        yaw = np.interp(self.s, grid, np.unwrap(self.path.yaw_rad))
        return float(np.interp(self.s, grid, self.path.x_m)), float(np.interp(self.s, grid, self.path.y_m)), float(yaw)


def demand(count: int, seed: int, headway_s: float, zone_map: ZoneMap) -> list[Car]:
    rng = np.random.default_rng(seed)
    cars, free = [], dict.fromkeys(ARMS, 0.0)
    for k in range(count):
        origin = list(ARMS)[int(rng.integers(4))]
        arrival = max(k * headway_s, free[origin] + 2.2)
        free[origin] = arrival
        destination = [d for d in ARMS if d != origin][int(rng.integers(3))]
        path = zone_map.paths[f"{origin}-{destination}"]
        passage = zone_map.passages[path.path_id][0]
        cars.append(Car(f"car_{k + 1}", path, passage.line_s_m, passage.exit_s_m, arrival))
    return cars


def drive(
    log: RunLog, cars: list[Car], *, until_s: float = 900.0, interrupt_s: float | None = None, lossy: bool = False
) -> float:
    """Simulate and log; returns the simulated time."""
    rng = np.random.default_rng(7)
    free_at, k, active, waiting = 0.0, 0, [], list(cars)
    length = {p.path_id: p.length_m for p in (car.path for car in cars)}
    while (active or waiting) and k * 0.05 < until_s:
        t = k * 0.05
        if interrupt_s is not None and t >= interrupt_s:
            break
        while waiting and waiting[0].arrival_s <= t + 1e-9:
            car = waiting.pop(0)
            log.vehicle(
                VehicleInfo(
                    car.name,
                    "car",
                    LENGTH_M,
                    WIDTH_M,
                    WHEELBASE_M,
                    REAR_M,
                    car.path.origin,
                    car.path.destination,
                    car.path.path_id,
                    car.role,
                    car.arrival_s,
                    length[car.path.path_id] / LIMIT_MPS,
                )
            )
            active.append(car)
        for car in active:
            free_at = _agree(log, car, cars, active, t, free_at, rng, lossy)
            _step(car, [c for c in active if c is not car], t)
        rows = [(*car.pose(), car.v, car.a, 0.0) for car in active]
        names = [car.name for car in active]
        log.truth(t, names, np.array(rows, dtype=np.float64).reshape(-1, 6), [_phase(car) for car in active])
        for car in [c for c in active if c.s >= length[c.path.path_id] - 1.0]:
            log.departed(car.name, t)
            active.remove(car)
        k += 1
    return k * 0.05


def _phase(car: Car) -> str:
    front = car.s + LENGTH_M - REAR_M
    if car.cleared:
        return "cleared"
    if front > car.line_s - 12.0 and car.slot_s is not None:
        return "crossing"
    if car.slot_s is not None:
        return "committed"
    if car.v < 0.1:
        return "waiting"
    return "approach" if car.announced else "free"


def _agree(
    log: RunLog,
    car: Car,
    cars: list[Car],
    active: list[Car],
    t: float,
    free_at: float,
    rng: np.random.Generator,
    lossy: bool,
) -> float:
    """First come, first served slots of the zone, with the records that a real agreement leaves."""
    ms, dist = round(t * 1e3), car.line_s - (car.s + LENGTH_M - REAR_M)
    if dist < 70.0 and not car.announced:
        car.announced = True
        car.log["next"] = t + 0.2
    if car.announced and car.slot_s is None and t >= car.log["next"]:
        ahead = [
            c for c in active if c.path.origin == car.path.origin and c.s > car.s and c.slot_s is None and not c.cleared
        ]
        if ahead:
            return free_at
        members = sorted(c.name for c in active if c.announced and not c.cleared)
        key = f"{car.name}-{ms}".encode().hex().ljust(64, "0")
        log.decision(
            ms, car.name, "proposal", {"proposal": key, "zone": "center", "members": members, "batch": [car.name]}
        )
        log.count("messages", len(members))
        log.count("bytes", 400 * len(members))
        refuse = lossy and rng.random() < 0.35
        for n, name in enumerate(members):
            at = ms + 30 + int(rng.integers(10, 70))
            if refuse and n == len(members) - 1:
                log.decision(
                    at, name, "refusal", {"proposal": key, "coordinator": car.name, "reasons": ["overlap:promise"]}
                )
            else:
                log.decision(at, name, "vote", {"proposal": key, "coordinator": car.name})
        if refuse:
            log.decision(ms + 150, car.name, "abort", {"proposal": key, "why": f"refused_by:{members[-1]}"})
            car.log["next"] = t + 0.8
            return free_at
        log.decision(ms + 110, car.name, "certificate", {"proposal": key, "zone": "center"})
        for name in members:
            log.decision(ms + 110 + int(rng.integers(0, 40)), name, "commit", {"proposal": key})
        log.sample("agreement_latency_s", 0.12)
        log.sample("planning_s", 0.0012 + 0.001 * float(rng.random()))
        log.plan(ms, car.name, np.column_stack([car.path.x_m, car.path.y_m]))
        car.before = max((c for c in cars if c.slot_s is not None), key=lambda c: c.slot_s or 0.0, default=None)
        car.slot_s = max(free_at, t + max(dist, 0.0) / LIMIT_MPS)
        free_at = car.slot_s + 3.0
    elif not car.cleared and car.s - REAR_M > car.exit_s:
        car.cleared = True
        log.decision(ms, car.name, "release", {"zone": "center"})
    return free_at


def _step(car: Car, others: list[Car], t: float, dt: float = 0.05) -> None:
    front = car.s + LENGTH_M - REAR_M
    dist = car.line_s - front
    want = LIMIT_MPS
    if dist > 0.0 and (car.slot_s is None or t < car.slot_s or not (car.before is None or car.before.cleared)):
        slack = 1e9 if car.slot_s is None else car.slot_s - t
        brake = math.sqrt(max(0.0, 2.0 * 2.5 * (dist - 1.0)))
        want = min(
            want, brake if slack > 3.0 else max(3.0, min(brake, dist / max(slack, 0.3))) if dist > 6.0 else brake
        )
    leaders = [c for c in others if c.path.origin == car.path.origin and c.s > car.s and not c.cleared]
    leaders += [
        c for c in others if c.path.destination == car.path.destination and c.cleared and car.cleared and c.s > car.s
    ]
    for leader in leaders:
        room = leader.s - REAR_M - front - 2.0
        want = min(want, math.sqrt(max(0.0, leader.v**2 + 2.0 * 2.5 * room)) if room > 0.0 else 0.0)
    a = min(2.0, max(-4.5, (want - car.v) / 0.3))
    car.a += min(0.3, max(-0.5, a - car.a))
    v = max(0.0, car.v + car.a * dt)
    if v == 0.0:
        car.a = 0.0
    car.s += 0.5 * (car.v + v) * dt
    car.v = v


def make_run(
    out: FilePath,
    *,
    count: int = 8,
    seed: int = 3,
    headway_s: float = 1.2,
    mcap: bool = True,
    interrupt_s: float | None = None,
    lossy: bool = False,
    after: Callable[[RunLog], None] | None = None,
    expectations: dict[str, float | int | str] | None = None,
) -> Summary:
    """Write a whole run folder."""
    zone_map = four_way()
    manifest = {
        "scenario": {"name": "four_way", "path": "four_way", "sha256": "ab" * 32},
        "seed": seed,
        "planner": "first_come",
        "backend": "kinematic",
    }
    log = RunLog.create(out, manifest, zone_map, mcap=mcap)
    sim_s = drive(log, demand(count, seed, headway_s, zone_map), interrupt_s=interrupt_s, lossy=lossy)
    if after is not None:
        after(log)
    timings = {"physics": 1.9, "control": 0.8, "planning": 0.5, "protocol": 0.7, "crypto": 1.1, "logging": 0.3}
    return log.finish(
        status=0,
        interrupted=interrupt_s is not None,
        wall_s=5.4,
        sim_s=sim_s,
        timings=timings,
        expectations={"contacts": 0, "finished": "all", "mean_delay_s_max": 8.0}
        if expectations is None
        else expectations,
    )
