"""The truth of a run, indexed for the kernels: by instant, by vehicle, and by place along the path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim import _lane_metrics
from sim.run_folder import DrawnMap, VehicleRecord
from sim.trajectory_log import Trajectories

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scene:
    """The truth of a run, indexed for the kernels; vehicles in the order of ``vehicles``.

    ``first``: first row of each instant; ``rows`` with ``start``: rows of each vehicle in time order;
    ``half``: [vehicle, 2] half length and width; ``lane``: [row, 2] rear axle's s and lateral offset on
    the vehicle's path (nan without one).
    """

    vehicles: tuple[VehicleRecord, ...]
    t_s: Floats
    vehicle: Ints
    state: Floats
    first: Ints
    start: Ints
    rows: Ints
    half: Floats
    path_of: Ints
    path_ids: tuple[str, ...]
    lane: Floats
    phase: Ints
    """Per row, an index into ``phase_names``."""
    phase_names: tuple[str, ...]


def build_scene(trajectories: Trajectories, vehicles: Sequence[VehicleRecord], drawn: DrawnMap) -> Scene:
    """Index the rows for the kernels and place every row on its vehicle's path."""
    number = {record.id: k for k, record in enumerate(vehicles)}
    to_number = np.array([number[name] for name in trajectories.vehicle_ids], dtype=np.int64)
    vehicle = to_number[trajectories.vehicle] if len(to_number) else trajectories.vehicle
    rows = np.argsort(vehicle, kind="stable").astype(np.int64)
    start = np.searchsorted(vehicle[rows], np.arange(len(vehicles) + 1)).astype(np.int64)
    changes = np.flatnonzero(np.diff(trajectories.t_s)) + 1
    first = np.concatenate([[0], changes, [len(vehicle)]]).astype(np.int64)
    half = np.array([[0.5 * v.length_m, 0.5 * v.width_m] for v in vehicles], dtype=np.float64).reshape(-1, 2)
    used = tuple(sorted({v.path_id for v in vehicles} & set(drawn.paths)))
    path_of = np.array([used.index(v.path_id) if v.path_id in used else -1 for v in vehicles], dtype=np.int64)
    lane = np.full((len(vehicle), 2), np.nan)
    state = np.ascontiguousarray(trajectories.state)
    if used:
        path_start, points, step = path_arrays(drawn, used)
        to_centre = np.array([0.5 * v.length_m - v.rear_m for v in vehicles])
        _lane_metrics.project(start, rows, state, to_centre, path_of, path_start, points, step, lane)
    return Scene(
        vehicles=tuple(vehicles),
        t_s=np.ascontiguousarray(trajectories.t_s),
        vehicle=vehicle,
        state=state,
        first=first,
        start=start,
        rows=rows,
        half=half,
        path_of=path_of,
        path_ids=used,
        lane=lane,
        phase=trajectories.phase,
        phase_names=trajectories.phase_names,
    )


def path_arrays(drawn: DrawnMap, used: Sequence[str]) -> tuple[Ints, Floats, Floats]:
    """Points of these paths one after the other: start of each, float64 [point, 3], step in m of each."""
    chosen = [drawn.paths[path_id] for path_id in used]
    path_start = np.cumsum([0, *(len(path.points) for path in chosen)]).astype(np.int64)
    points = np.ascontiguousarray(np.vstack([path.points for path in chosen]))
    return path_start, points, np.array([path.step_m for path in chosen])
