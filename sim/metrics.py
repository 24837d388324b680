"""Metrics of a run, from the true trajectories and the decision log; never from plans.

``docs/reference/metrics.md`` gives each definition and its source. The heavy loops are kernels; the
functions here prepare arrays and put numbers together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim import _lane_metrics, _metrics
from sim.decision_log import Decision
from sim.group_metrics import group_metrics
from sim.mechanism_metrics import mechanism_metrics
from sim.metric_defs import DEFINITIONS, Metric
from sim.run_folder import DrawnMap, VehicleRecord
from sim.scene import Scene, path_arrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EPISODE_GAP_S = 1.0
"""Unsafe instants of one pair that are closer in time than this are one episode."""
CROSSING_RAD = math.radians(15.0)
"""Vehicles whose headings differ by less follow each other; their time gap is no post-encroachment time."""
LANE_RAD = math.radians(20.0)
CELL_M = 0.5
_TILE_CELLS = 32
_STOP_MPS, _GO_MPS, _JERK_WINDOW_S = 0.1, 0.5, 0.2
# Reference car: 1,500 kg, rolling resistance 0.010, drag area 0.70 m2, air 1.20 kg/m3.
_MASS_KG, _ROLLING_MPS2, _DRAG_1PM = 1_500.0, 0.010 * 9.81, 0.5 * 1.20 * 0.70 / 1_500.0
_RSS_CAR = (0.2, 2.0, 6.0, 8.0)
_RSS_MODEL = (0.2, 1.0, 1.5, 3.0)
_MODEL_LENGTH_M = 1.0
"""Shorter vehicles are scale models; RSS takes the parameters of that column."""
_EVENTS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Encounter:
    """The vehicle that was last, by the least time gap, where ``second`` then drove."""

    first: str
    second: str
    time_s: float
    gap_s: float
    crossing: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """Two vehicles that touched (``b`` may be an obstacle); ``by_honest``: see the definition contacts-honest/1."""

    time_s: float
    a: str
    b: str
    by_honest: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that the metrics and the report take from the truth."""

    metrics: tuple[Metric, ...]
    contacts: tuple[Contact, ...]
    encounters: tuple[Encounter, ...]
    waits_s: dict[str, float]
    stops: dict[str, int]


def analyse(
    scene: Scene,
    drawn: DrawnMap,
    decisions: Sequence[Decision],
    *,
    counters: Mapping[str, int],
    samples: Mapping[str, Sequence[float]],
    sim_s: float,
    wall_s: float,
) -> Analysis:
    """All metrics of a run.

    Parameters
    ----------
    counters : mapping
        ``messages`` and ``bytes`` as counted by the network.
    samples : mapping
        ``agreement_latency_s`` and ``planning_s``, in seconds. Without samples of the former it is taken
        from the decision log (first commit of a proposal less its proposal).
    """
    values: dict[str, float | int | None] = {name: counters.get(name, 0) for name in ("messages", "bytes")}
    contacts = _pairs(scene, decisions, values)
    _following(scene, drawn, values)
    encounters = _encroachment(scene, values)
    waits_s, stops = _comfort(scene, values)
    _traffic(scene.vehicles, values)
    _agreement(decisions, samples, values)
    values |= group_metrics(scene.vehicles, decisions, samples)
    values |= mechanism_metrics(scene.vehicles, decisions, sim_s)
    values["simulated_s"], values["wall_s"] = sim_s, wall_s
    values["real_time_factor"] = sim_s / wall_s if wall_s > 0.0 else None
    metrics = tuple(Metric(d.name, d.unit, _rounded(values.get(d.name)), d.definition) for d in DEFINITIONS)
    return Analysis(metrics, contacts, encounters, waits_s, stops)


def _rounded(value: float | int | None) -> float | int | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.9g}")


def _pairs(scene: Scene, decisions: Sequence[Decision], values: dict[str, float | int | None]) -> tuple[Contact, ...]:
    """Least gap, and contacts: the world's own and those in the truth, one per pair (its first)."""
    best, best_rows = np.array([math.inf]), np.zeros(2, dtype=np.int64)
    overlaps = np.zeros((_EVENTS_MAX, 2), dtype=np.int64)
    count = _metrics.closest_pair(scene.first, scene.vehicle, scene.state, scene.half, best, best_rows, overlaps)
    seen: dict[tuple[str, str], tuple[float, str, str]] = {}
    for record in decisions:
        if record.kind == "contact":
            a, b = str(record.detail["a"]), str(record.detail["b"])
            seen.setdefault((min(a, b), max(a, b)), (float(record.detail.get("t_s", record.time_ms * 1e-3)), a, b))
    for i, j in overlaps[: min(count, _EVENTS_MAX)].tolist():
        a, b = scene.vehicles[scene.vehicle[i]].id, scene.vehicles[scene.vehicle[j]].id
        seen.setdefault((min(a, b), max(a, b)), (float(scene.t_s[i]), a, b))
    number = {record.id: k for k, record in enumerate(scene.vehicles)}
    contacts = tuple(
        Contact(t, a, b, _struck(scene, number, t, a, b) or _struck(scene, number, t, b, a))
        for t, a, b in sorted(seen.values())
    )
    values["contacts"] = len(contacts)
    values["contacts_caused_by_honest"] = sum(contact.by_honest for contact in contacts)
    values["gap_m_min"] = float(best[0]) if math.isfinite(best[0]) else None
    return contacts


def _struck(scene: Scene, number: Mapping[str, int], time_s: float, a: str, b: str) -> bool:
    """Whether honest ``a`` moved and the nearest point of ``b`` lay before the front quarter of its outline."""
    if a not in number or scene.vehicles[number[a]].role != "honest":
        return False
    row_a = _row_at(scene, number[a], time_s)
    if row_a is None or abs(scene.state[row_a, 3]) < _STOP_MPS:
        return False
    row_b = _row_at(scene, number[b], time_s) if b in number else None
    if row_b is None:
        return True  # an obstacle does not move
    half_a, half_b = scene.half[number[a]], scene.half[number[b]]
    u, w = np.meshgrid(np.linspace(-1.0, 1.0, 41) * half_b[0], np.linspace(-1.0, 1.0, 21) * half_b[1])
    xb, yb, yaw_b = scene.state[row_b, :3]
    dx = xb + math.cos(yaw_b) * u - math.sin(yaw_b) * w - scene.state[row_a, 0]
    dy = yb + math.sin(yaw_b) * u + math.cos(yaw_b) * w - scene.state[row_a, 1]
    c, s = math.cos(scene.state[row_a, 2]), math.sin(scene.state[row_a, 2])
    ahead, side = c * dx + s * dy, -s * dx + c * dy
    outside = np.hypot(np.maximum(np.abs(ahead) - half_a[0], 0.0), np.maximum(np.abs(side) - half_a[1], 0.0))
    touching = outside <= outside.min() + 1e-9
    return bool(np.mean(ahead[touching]) > 0.5 * half_a[0])


def _row_at(scene: Scene, vehicle: int, time_s: float) -> int | None:
    """The vehicle's row nearest in time."""
    rows = scene.rows[scene.start[vehicle] : scene.start[vehicle + 1]]
    return int(rows[np.argmin(np.abs(scene.t_s[rows] - time_s))]) if len(rows) else None


def _following(scene: Scene, drawn: DrawnMap, values: dict[str, float | int | None]) -> None:
    values["time_to_collision_s_min"], values["rss_violations"] = None, 0
    if not scene.path_ids or not len(scene.t_s):
        return
    path_start, points, step = path_arrays(drawn, scene.path_ids)
    bin_m = float(step.min())
    lengths = np.diff(path_start) * step
    bins = int(np.ceil(lengths.max() / bin_m)) + 2
    along = np.empty((len(scene.path_ids), len(scene.path_ids), bins))
    across = np.empty_like(along)
    _lane_metrics.lane_table(path_start, points, step, bin_m, LANE_RAD, along, across)
    ends = np.array([_ends(record) for record in scene.vehicles], dtype=np.float64)
    best, best_rows = np.array([math.inf]), np.zeros(2, dtype=np.int64)
    unsafe = np.zeros((_EVENTS_MAX, 2), dtype=np.int64)
    count = _lane_metrics.following(
        scene.first,
        scene.vehicle,
        scene.state,
        scene.half,
        scene.lane,
        scene.path_of,
        ends,
        along,
        across,
        bin_m,
        best,
        best_rows,
        unsafe,
    )
    unsafe = unsafe[: min(count, _EVENTS_MAX)]
    if math.isfinite(best[0]):
        values["time_to_collision_s_min"] = float(best[0])
    values["rss_violations"] = _episodes(scene.vehicle[unsafe], scene.t_s[unsafe[:, 0]])


def _ends(record: VehicleRecord) -> tuple[float, ...]:
    rss = _RSS_MODEL if record.length_m < _MODEL_LENGTH_M else _RSS_CAR
    return (record.length_m - record.rear_m, record.rear_m, *rss, 1.0 if record.role == "honest" else 0.0)


def _episodes(pairs: Ints, t_s: Floats) -> int:
    """How many runs of instants, per pair, lie further apart than :data:`EPISODE_GAP_S`."""
    if not len(pairs):
        return 0
    order = np.lexsort((t_s, pairs[:, 1], pairs[:, 0]))
    pairs, t_s = pairs[order], t_s[order]
    new = np.any(pairs[1:] != pairs[:-1], axis=1) | (np.diff(t_s) > EPISODE_GAP_S)
    return int(1 + np.count_nonzero(new))


def _encroachment(scene: Scene, values: dict[str, float | int | None]) -> tuple[Encounter, ...]:
    values["post_encroachment_s_min"] = None
    if not len(scene.t_s):
        return ()
    # Model cars need model cells: the 0.5 m are a tenth of a car's length.
    cell = min(CELL_M, 0.2 * float(scene.half[:, 0].min()))
    reach = float(np.hypot(scene.half[:, 0], scene.half[:, 1]).max()) + cell
    low, high = scene.state[:, :2].min(axis=0) - reach, scene.state[:, :2].max(axis=0) + reach
    grid = np.array([_TILE_CELLS, cell, low[0], low[1]], dtype=np.float64)
    size = np.ceil((high - low) / (cell * _TILE_CELLS)).astype(np.int64) + 1
    tiles = np.full((int(size[0]), int(size[1])), -1, dtype=np.int64)
    count = _metrics.mark_tiles(grid, scene.vehicle, scene.state, scene.half, tiles)
    last = np.full((count, _TILE_CELLS**2), -1, dtype=np.int64)
    last_t = np.zeros((count, _TILE_CELLS**2))
    pet = np.full((len(scene.vehicles), 2), math.inf)
    pet_row = np.full((len(scene.vehicles), 2), -1, dtype=np.int64)
    turn = np.array([CROSSING_RAD])
    _metrics.encroachment(
        grid, scene.t_s, scene.vehicle, scene.state, scene.half, turn, tiles, last, last_t, pet, pet_row
    )
    step_s = float(np.median(np.diff(scene.t_s[scene.first[:-1]]))) if len(scene.first) > 2 else 0.0
    # Between samples: the first left up to one step after, the second came up to one step before.
    pet = np.maximum(0.0, pet - step_s)
    if math.isfinite(pet[:, 0].min()):
        values["post_encroachment_s_min"] = float(pet[:, 0].min())
    found = []
    for v, record in enumerate(scene.vehicles):
        for column in (0, 1):
            row = int(pet_row[v, column])
            if row >= 0:
                before = scene.vehicles[scene.vehicle[row]].id
                found.append(Encounter(before, record.id, float(scene.t_s[row]), float(pet[v, column]), column == 0))
    return tuple(found)


def _comfort(scene: Scene, values: dict[str, float | int | None]) -> tuple[dict[str, float], dict[str, int]]:
    load = np.array([_STOP_MPS, _GO_MPS, _JERK_WINDOW_S, _ROLLING_MPS2, _DRAG_1PM])
    table = np.zeros((len(scene.vehicles), 7))
    _metrics.comfort(scene.start, scene.rows, scene.t_s, scene.state, load, table)
    waits: dict[str, float] = {}
    for v, record in enumerate(scene.vehicles):
        if scene.start[v] < scene.start[v + 1]:
            outside = max(0.0, float(scene.t_s[scene.rows[scene.start[v]]]) - record.arrival_s)
            waits[record.id] = float(table[v, 1]) + outside
        elif len(scene.t_s) and record.departure_s is None:  # never let in: it waits to the end
            waits[record.id] = max(0.0, float(scene.t_s[-1]) - record.arrival_s)
    count, distance = float(table[:, 3].sum()), float(table[:, 6].sum())
    values["stops_per_vehicle"] = float(table[:, 0].sum()) / len(scene.vehicles) if scene.vehicles else None
    values["wait_s_max"] = max(waits.values(), default=None)
    values["jerk_mps3_rms"] = math.sqrt(float(table[:, 2].sum()) / count) if count else None
    values["jerk_mps3_max"] = float(table[:, 4].max()) if count else None
    values["energy_kj_per_km"] = _MASS_KG * float(table[:, 5].sum()) / distance if distance > 0.0 else None
    return waits, {record.id: int(table[v, 0]) for v, record in enumerate(scene.vehicles)}


def _traffic(vehicles: Sequence[VehicleRecord], values: dict[str, float | int | None]) -> None:
    gone = [record for record in vehicles if record.departure_s is not None]
    delays = np.array([record.delay_s for record in gone if record.delay_s is not None], dtype=np.float64)
    values["vehicles"], values["finished"], values["unfinished"] = len(vehicles), len(gone), len(vehicles) - len(gone)
    values["finished_share"] = len(gone) / len(vehicles) if vehicles else None
    values["mean_delay_s"] = float(delays.mean()) if len(delays) else None
    values["p95_delay_s"] = float(np.percentile(delays, 95)) if len(delays) else None
    values["delay_s_max"] = float(delays.max()) if len(delays) else None
    span = max((r.departure_s or 0.0 for r in gone), default=0.0) - min((r.arrival_s for r in vehicles), default=0.0)
    values["throughput_vph"] = 3_600.0 * len(gone) / span if gone and span > 0.0 else None
    values["jain"] = jain([mean for _, mean, _ in delay_by_approach(vehicles)])


def delay_by_approach(vehicles: Sequence[VehicleRecord]) -> list[tuple[str, float, list[float]]]:
    """(origin, mean delay, delays in ascending order) of the finished vehicles, sorted by origin."""
    found: dict[str, list[float]] = {}
    for record in vehicles:
        if record.delay_s is not None:
            found.setdefault(record.origin, []).append(record.delay_s)
    return [(origin, sum(found[origin]) / len(found[origin]), sorted(found[origin])) for origin in sorted(found)]


def jain(shares: Sequence[float]) -> float | None:
    """Jain's index (sum x)^2 / (n sum x^2) of the shares, negative ones taken as 0; None for fewer than two."""
    x = np.maximum(np.asarray(shares, dtype=np.float64), 0.0)
    if len(x) < 2:
        return None
    square = float(np.sum(x * x))
    return float(np.sum(x)) ** 2 / (len(x) * square) if square > 0.0 else 1.0


def _agreement(
    decisions: Sequence[Decision], samples: Mapping[str, Sequence[float]], values: dict[str, float | int | None]
) -> None:
    kinds = dict.fromkeys(("commit", "refusal", "fallback", "breach"), 0)
    proposed: dict[str, int] = {}
    latencies: dict[str, float] = {}
    for record in decisions:
        if record.kind in kinds:
            kinds[record.kind] += 1
        key = str(record.detail.get("proposal", ""))
        if key and record.kind == "proposal":
            proposed.setdefault(key, record.time_ms)
        elif key in proposed and record.kind == "commit":
            latencies.setdefault(key, (record.time_ms - proposed[key]) * 1e-3)
    values["commits"], values["refusals"] = kinds["commit"], kinds["refusal"]
    values["fallbacks"], values["breaches"] = kinds["fallback"], kinds["breach"]
    measured = samples.get("agreement_latency_s") or list(latencies.values())
    for name, sample in (("agreement_latency_s", measured), ("planning_s", samples.get("planning_s") or ())):
        for share in (50, 99):
            values[f"{name}_p{share}"] = float(np.percentile(np.asarray(sample), share)) if len(sample) else None
