"""Who is in the way: conflict tables packed for the kernels, plans sampled on one grid of time.

The theory is in ``planners/_blocking.py``. A :class:`TableStore` lives as long as its planner; a
:class:`TimeGrid` lives for one call and holds every plan that others must be clear of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planners import _blocking
from planners._blocking import CELL_MS
from planners.interface import Body, Conflicts
from planners.profile import sampled, size_scale
from planners.spacing import Spacing
from planners.timed_path import TimedPath
from planners.zone_map import Floats

HORIZON_S = 150.0
"""Plans that take longer than this are refused."""
CELL_COUNT = int(HORIZON_S * 1000.0) // CELL_MS

Ints = npt.NDArray[np.int64]
Set = tuple[int, int, int, int, float]
"""A conflict set as offset, first bin, bin count, kind, step_m."""
CROSSING, HEADWAY = 0, 1
UNDECIDED, AFTER, BEFORE = 0, 1, 2


def margin_m(body: Body) -> float:
    """Kept from barriers while searching, for what rounding to integers adds."""
    return max(0.004, 0.02 * size_scale(body))


@dataclass(slots=True)
class Obstacle:
    """A plan that others must be clear of, and its row on the grid (-1: not sampled yet)."""

    vehicle: str
    body: Body
    plan: TimedPath
    row: int = -1
    outline: int = -1
    """Number of its outline in the table store (-1: not asked for yet)."""
    agreed: bool = True
    """False for what a vehicle only follows until told otherwise: it will brake for a vehicle ahead."""


class TableStore:
    """Conflict tables of all pairs asked for so far, as flat arrays."""

    def __init__(self, conflicts: Conflicts) -> None:
        self._conflicts = conflicts
        self._known: dict[tuple[str, int, str, int], list[Set]] = {}
        self._outlines: dict[object, int] = {}
        self._parts: list[Floats] = []
        self._size = 0
        self.bins: Floats = np.zeros((4, 0))
        """As ``planners/_blocking.py`` says: rows lo, hi, near and far."""

    def between(self, path_i: str, body_i: Body, outline_i: int, other: Obstacle) -> list[Set]:
        """Conflict sets between a body on ``path_i`` and ``other``."""
        if other.outline < 0:
            other.outline = self.outline(other.body)
        found = self._known.get((path_i, outline_i, other.plan.path_id, other.outline))
        return self.of(path_i, body_i, other.plan.path_id, other.body) if found is None else found

    def of(self, path_i: str, body_i: Body, path_j: str, body_j: Body) -> list[Set]:
        """Conflict sets between a body on ``path_i`` and one on ``path_j``."""
        key = (path_i, self.outline(body_i), path_j, self.outline(body_j))
        found = self._known.get(key)
        if found is None:
            found = []
            tables = self._conflicts.between(
                path_i, (body_i.footprint, body_i.budget), path_j, (body_j.footprint, body_j.budget)
            )
            for table in tables:
                kind = CROSSING if table.kind == "crossing" else HEADWAY
                found.append((self._size, table.first_bin, len(table.lo_m), kind, table.step_m))
                near = np.minimum.accumulate(table.lo_m[::-1])[::-1]
                self._parts.append(np.array([table.lo_m, table.hi_m, near, np.maximum.accumulate(table.hi_m)]))
                self._size += len(table.lo_m)
            self._known[key] = found
        return found

    def pack(self) -> None:
        """Bring ``bins`` up to date with what :meth:`between` has returned."""
        if self.bins.shape[1] != self._size:
            self.bins = np.concatenate(self._parts, axis=1)
            self._parts = [self.bins]

    def outline(self, body: Body) -> int:
        """A number for the outline of ``body``."""
        return self._outlines.setdefault((body.footprint, body.budget), len(self._outlines))


class TimeGrid:
    """Plans sampled every ``CELL_MS`` from ``base_ms`` on, when first asked for."""

    def __init__(self, base_ms: int, rows: Floats) -> None:
        self.base_ms = base_ms
        self.rows = rows
        self.work: Floats = np.empty((1, rows.shape[1]))
        self._used = 0

    def row(self, obstacle: Obstacle) -> int:
        """The row of ``rows`` that holds its positions."""
        if obstacle.row < 0:
            obstacle.row = self.new_row()
            sampled(obstacle.plan, self.base_ms, CELL_MS, self.rows[obstacle.row])
        return obstacle.row

    def new_row(self) -> int:
        """A row to be filled."""
        if self._used == len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        self._used += 1
        return self._used - 1

    def mark(self) -> int:
        """What to :meth:`release` later: the rows taken from now on."""
        return self._used

    def release(self, mark: int) -> None:
        """Give back the rows taken since ``mark``."""
        self._used = mark

    def cell(self, time_ms: int) -> int:
        """The cell that holds ``time_ms``."""
        return max(0, (time_ms - self.base_ms) // CELL_MS)

    @property
    def end_ms(self) -> int:
        """The last instant."""
        return self.base_ms + (self.rows.shape[1] - 1) * CELL_MS


class Blocking:
    """All conflict sets between one vehicle on one path and the obstacles, with what is decided of each."""

    def __init__(
        self, body: Body, path_id: str, obstacles: list[Obstacle], grid: TimeGrid, tables: TableStore, spacing: Spacing
    ) -> None:
        rows: list[tuple[int, int, int, int, int]] = []
        steps: list[float] = []
        self.obstacles: list[Obstacle] = []
        outline = tables.outline(body)
        for obstacle in obstacles:
            for offset, first, count, kind, step in tables.between(path_id, body, outline, obstacle):
                rows.append((grid.row(obstacle), offset, first, count, kind))
                steps.append(step)
                self.obstacles.append(obstacle)
        tables.pack()
        self.items: Ints = np.array(rows, dtype=np.int64).reshape(len(rows), 5)
        self.steps: Floats = np.array(steps, dtype=np.float64)
        self.state: Ints = np.zeros(len(rows), dtype=np.int64)
        self._tables, self._grid, self._body = tables, grid, body
        kinds = (False, True)  # CROSSING, HEADWAY
        self.soft_pad: Ints = np.array([spacing.cells(CELL_MS, shared=shared) for shared in kinds])
        self.soft_gap: Floats = np.array([spacing.gap_m(body.footprint, shared=shared) for shared in kinds])
        self.hard_pad: Ints = np.zeros(2, dtype=np.int64)
        self.hard_gap: Floats = np.zeros(2)
        self._found: Ints = np.zeros(1, dtype=np.int64)

    def place(self, s_m: float, cell: int) -> list[int]:
        """Decide which obstacles the vehicle is already ahead of when it can first change its motion.

        Who follows on a lane follows wherever the two meet again. Returns the items of those among them
        whose plans are not agreed.
        """
        _blocking.who_is_ahead(self.items, self.steps, self._tables.bins[3], self._grid.rows, s_m, cell, self.state)
        ahead = (self.state == BEFORE) & (self.items[:, 4] == HEADWAY)
        if not ahead.any():
            return []
        behind = np.isin(self.items[:, 0], self.items[ahead, 0])
        self.state[behind] = BEFORE
        return [item for item in np.flatnonzero(behind).tolist() if not self.obstacles[item].agreed]

    def lower(self, cell: int, braking: Floats, free: Floats) -> bool:
        """Fill ``free`` [instant] with the barrier of what is decided as AFTER.

        ``braking``: s at each instant if the vehicle brakes at once. False if even that is too late.
        """
        late = _blocking.lower(
            self.items, self.steps, self.state, self._tables.bins[3], self._grid.rows, self.soft_pad, self.soft_gap,
            self.hard_pad, self.hard_gap, braking, cell, margin_m(self._body), self._grid.work, free,
        )  # fmt: skip
        return bool(late < 0)

    def worst(self, cell: int) -> int:
        """The item after which least is allowed at ``cell`` (-1: the last), or -1 if nothing is in the way."""
        best, worst = math.inf, -1
        state = self.state.copy()
        for item in np.flatnonzero(state == AFTER).tolist():
            self.state[:] = UNDECIDED
            self.state[item] = AFTER
            alone = np.full(self._grid.rows.shape[1], math.inf)
            _blocking.barrier(
                self.items, self.steps, self.state, self._tables.bins[3], self._grid.rows, self.hard_pad, self.hard_gap,
                int(self.items[item, 4]), 0, alone,
            )  # fmt: skip
            if alone[cell] < best:
                best, worst = float(alone[cell]), item
        self.state[:] = state
        return worst

    def clash(self, own: Floats, cell: int, *, wanted: int, hard: bool) -> int:
        """The item of state ``wanted`` that positions ``own`` [instant] from ``cell`` on meet first, or -1."""
        pad, gap = (self.hard_pad, self.hard_gap) if hard else (self.soft_pad, self.soft_gap)
        _blocking.clash(
            self.items, self.steps, self.state, wanted, self._tables.bins, self._grid.rows, pad, gap,
            own, cell, self._found,
        )  # fmt: skip
        return int(self._found[0])
