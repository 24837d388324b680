"""First-come tile reservation, after Dresner and Stone (JAIR 31, 2008): the reservation server as a baseline.

The junction is a grid of square tiles and a vehicle reserves, for each step of time, every tile that its
body with a static buffer touches; nobody else may have a tile within the time buffers. Reservations are
made in the order in which vehicles announced themselves, and never given back for somebody else's sake.
Here the grid is a relation between places: two places on two paths exclude each other if their bodies
touch a common tile. That is what the server's table of tiles comes down to, and lets every planner of this
project work on it; the exact relation, with the error budgets that the verifier asks for, is always part of it.
What differs from the paper favours the server: it looks for the earliest reservation
itself where a driver agent would be refused, brake and ask again; and the plans that it grants are found
by the same search as those of ``first_come``, with the same time buffers.

Tiles and static buffer are those of the authors' simulator AIM4: 1 m and 0.25 m. Lanes before and after the
junction, where AIM4 follows by sensors, keep their exact geometry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from planners.first_come import FirstCome
from planners.interface import Body, Commitment, Conflicts, JointPlan, Request
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import TimedPath
from planners.zone_map import Conflict, ErrorBudget, Floats, Footprint, Passage, ZoneMap

TILE_M = 1.0
STATIC_BUFFER_M = 0.25
_CAR_LENGTH_M = 5.0
"""Tiles and buffer shrink with model cars."""
_POINTS_PER_TILE = 4
_SETTLED = ("crossing", "merging")

Outline = tuple[Footprint, ErrorBudget]
Cells = npt.NDArray[np.bool_]


class TileConflicts:
    """Conflict geometry between paths on the tile grid; see :class:`planners.interface.Conflicts`."""

    def __init__(self, zone_map: ZoneMap, exact: Conflicts) -> None:
        self._zone_map, self._exact = zone_map, exact
        self._known: dict[tuple[str, Outline, str, Outline], tuple[Conflict, ...]] = {}
        self._tiles: dict[tuple[str, str, Outline], tuple[int, Cells, tuple[int, int]]] = {}

    def between(self, path_i: str, outline_i: Outline, path_j: str, outline_j: Outline) -> tuple[Conflict, ...]:
        """The exact sets, with those that cross or merge in a zone widened to whole tiles."""
        key = (path_i, outline_i, path_j, outline_j)
        if key not in self._known:
            exact = self._exact.between(*key)
            found = [self._on_tiles(one, key) if one.kind in _SETTLED else one for one in exact]
            if not exact and path_i != path_j:
                found = self._only_tiles(key)
            self._known[key] = tuple(found)
        return self._known[key]

    def _on_tiles(self, exact: Conflict, key: tuple[str, Outline, str, Outline]) -> Conflict:
        """``exact`` and every cell that shares a tile with it, in the window around it that tiles can add."""
        margin = math.ceil(math.sqrt(2.0) * self._tile_m(key[1]) / exact.step_m)
        rows = np.arange(exact.first_bin - margin, exact.first_bin + len(exact.lo_m) + margin)
        filled = exact.lo_m <= exact.hi_m
        step_j = self._zone_map.paths[key[2]].step_m
        low = round(float(exact.lo_m[filled].min()) / step_j) - margin
        high = round(float(exact.hi_m[filled].max()) / step_j) + margin
        cells = np.zeros((len(rows), high - low), dtype=bool)
        for zone_id in self._common(key[0], key[2]):
            self._mark(cells, int(rows[0]), low, zone_id, key)
        return _united(exact, cells, int(rows[0]), low, step_j)

    def _only_tiles(self, key: tuple[str, Outline, str, Outline]) -> list[Conflict]:
        """Paths whose bodies never touch but use tiles in common: the grid knows no better."""
        found = []
        step_i, step_j = self._zone_map.paths[key[0]].step_m, self._zone_map.paths[key[2]].step_m
        for zone_id in self._common(key[0], key[2]):
            (first_i, tiles_i, _), (first_j, tiles_j, _) = (
                self._bins(zone_id, key[0], key[1]),
                self._bins(zone_id, key[2], key[3]),
            )
            cells = np.zeros((len(tiles_i), len(tiles_j)), dtype=bool)
            self._mark(cells, first_i, first_j, zone_id, key)
            if cells.any():
                nothing = Conflict("crossing", step_i, first_i, np.array([np.inf]), np.array([-np.inf]))
                found.append(_united(nothing, cells, first_i, first_j, step_j))
        return found

    def _mark(
        self, cells: Cells, first_i: int, first_j: int, zone_id: str, key: tuple[str, Outline, str, Outline]
    ) -> None:
        """Set ``cells`` [bin of i, bin of j] where the bodies touch a common tile of one zone."""
        (start_i, tiles_i, at_i), (start_j, tiles_j, at_j) = (
            self._bins(zone_id, key[0], key[1]),
            self._bins(zone_id, key[2], key[3]),
        )
        shared = _shared(tiles_i, at_i, tiles_j, at_j)
        low_i, low_j = max(first_i, start_i), max(first_j, start_j)
        high_i = min(first_i + cells.shape[0], start_i + shared.shape[0])
        high_j = min(first_j + cells.shape[1], start_j + shared.shape[1])
        if low_i < high_i and low_j < high_j:
            part = shared[low_i - start_i : high_i - start_i, low_j - start_j : high_j - start_j]
            cells[low_i - first_i : high_i - first_i, low_j - first_j : high_j - first_j] |= part

    def _bins(self, zone_id: str, path_id: str, outline: Outline) -> tuple[int, Cells, tuple[int, int]]:
        """(first bin, tiles [bin, column, row] that a body in the bin touches, the grid's corner in tiles)."""
        key = (zone_id, path_id, outline)
        if key not in self._tiles:
            passage = next(p for p in self._zone_map.passages[path_id] if p.zone_id == zone_id)
            self._tiles[key] = self._swept(passage, outline)
        return self._tiles[key]

    def _swept(self, passage: Passage, outline: Outline) -> tuple[int, Cells, tuple[int, int]]:
        body, tile_m = outline[0], self._tile_m(outline)
        path = self._zone_map.paths[passage.path_id]
        first = max(0, math.floor((passage.line_s_m - body.front_m) / path.step_m))
        last = min(len(path.x_m) - 1, math.ceil((passage.exit_s_m + body.rear_m) / path.step_m))
        buffer = STATIC_BUFFER_M * tile_m / TILE_M
        points = _outline_points(body, buffer, tile_m)
        cos, sin = np.cos(path.yaw_rad[first : last + 1]), np.sin(path.yaw_rad[first : last + 1])
        x = path.x_m[first : last + 1, None] + cos[:, None] * points[:, 0] - sin[:, None] * points[:, 1]
        y = path.y_m[first : last + 1, None] + sin[:, None] * points[:, 0] + cos[:, None] * points[:, 1]
        column, row = np.floor(x / tile_m).astype(np.int64), np.floor(y / tile_m).astype(np.int64)
        corner = int(column.min()), int(row.min())
        touched = np.zeros((len(cos), int(column.max()) - corner[0] + 1, int(row.max()) - corner[1] + 1), dtype=bool)
        touched[np.arange(len(cos))[:, None], column - corner[0], row - corner[1]] = True
        return first, touched[:-1] | touched[1:], corner

    def _common(self, path_i: str, path_j: str) -> list[str]:
        zones = [{p.zone_id for p in self._zone_map.passages.get(path_id, ())} for path_id in (path_i, path_j)]
        return sorted(zones[0] & zones[1])

    def _tile_m(self, outline: Outline) -> float:
        return TILE_M * min(1.0, outline[0].length_m / _CAR_LENGTH_M)


class TileReservation:
    """The joint planner ``tile_reservation``: first come, first served, on tiles."""

    name = "tile_reservation"
    open_orders = False

    def __init__(self, zone_map: ZoneMap, conflicts: Conflicts, spacing: Spacing = COMFORTABLE) -> None:
        self._server = FirstCome(zone_map, TileConflicts(zone_map, conflicts), spacing)

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Reserve for ``requests`` one by one; see :class:`planners.interface.JointPlanner`."""
        return self._server.plan(requests, commitments, now_ms=now_ms)

    def approach(
        self,
        body: Body,
        path_id: str,
        state: tuple[float, float, float],
        *,
        now_ms: int,
        stop_s_m: float,
        leader: Commitment | None,
        guide: TimedPath | None = None,
    ) -> TimedPath:
        """See :class:`planners.interface.JointPlanner`."""
        return self._server.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
        )


def _outline_points(body: Footprint, buffer_m: float, tile_m: float) -> Floats:
    """Points of the buffered rectangle, close enough that no tile between them is missed; float64 [point, 2]."""
    pitch, side_m = tile_m / _POINTS_PER_TILE, 0.5 * body.width_m + buffer_m
    ends = (-body.rear_m - buffer_m, body.front_m + buffer_m), (-side_m, side_m)
    x, y = (np.linspace(low, high, max(2, math.ceil((high - low) / pitch) + 1)) for low, high in ends)
    grid = np.meshgrid(x, y, indexing="ij")
    return np.column_stack([axis.ravel() for axis in grid])


def _shared(tiles_i: Cells, at_i: tuple[int, int], tiles_j: Cells, at_j: tuple[int, int]) -> Cells:
    """[bin of i, bin of j]: whether they touch a common tile of one grid."""
    low = [max(at_i[k], at_j[k]) for k in (0, 1)]
    high = [min(at_i[k] + tiles_i.shape[1 + k], at_j[k] + tiles_j.shape[1 + k]) for k in (0, 1)]
    if low[0] >= high[0] or low[1] >= high[1]:
        return np.zeros((len(tiles_i), len(tiles_j)), dtype=bool)
    parts = [
        tiles[:, low[0] - at[0] : high[0] - at[0], low[1] - at[1] : high[1] - at[1]].reshape(len(tiles), -1)
        for tiles, at in ((tiles_i, at_i), (tiles_j, at_j))
    ]
    return (parts[0].astype(np.float32) @ parts[1].astype(np.float32).T) > 0.5


def _united(exact: Conflict, cells: Cells, first_i: int, first_j: int, step_j_m: float) -> Conflict:
    """The hull, row by row, of ``exact`` and of ``cells``; rows at both ends that stay empty are cut off."""
    low = np.where(cells.any(axis=1), (first_j + cells.argmax(axis=1)) * step_j_m, np.inf)
    last = first_j + cells.shape[1] - cells[:, ::-1].argmax(axis=1)
    high = np.where(cells.any(axis=1), last * step_j_m, -np.inf)
    at = exact.first_bin - first_i
    low[at : at + len(exact.lo_m)] = np.minimum(low[at : at + len(exact.lo_m)], exact.lo_m)
    high[at : at + len(exact.hi_m)] = np.maximum(high[at : at + len(exact.hi_m)], exact.hi_m)
    filled = np.flatnonzero(low <= high)
    first, end = int(filled[0]), int(filled[-1]) + 1
    lo_m, hi_m = np.maximum(low[first:end], 0.0), np.ascontiguousarray(high[first:end])
    for array in (lo_m, hi_m):
        array.setflags(write=False)
    return Conflict(exact.kind, exact.step_m, first_i + first, lo_m, hi_m)
