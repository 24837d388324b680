"""Who passes whom: the order of plans in each conflict set, and the bounds that keeping it sets.

The order in which plans pass each conflict set is taken from the plans as they are. For one vehicle, with
all others fixed, keeping it means staying below a *barrier* (behind each plan that passes before it: the
start of the first bin that is not open yet) and above a *floor* (before each plan that passes after it:
the last place of the bin which that one is in). Both hold the planner's buffers, but never ask for more
than the plan that is being refined keeps itself; so that plan is always within them.

All plans are sampled on one grid of time, ``CELL_MS`` apart; a whole cell counts at its worst end. Tables
are those of ``planners/conflicts.py``; nothing is shared with the search that made the plans.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planners.interface import Body, Commitment, Conflicts
from planners.spacing import Spacing
from planners.timed_path import SegmentArrays
from planners.zone_map import Conflict, Floats

CELL_MS = 50
PAST_S = 1.0
"""The common grid starts this long before the first switch, so that buffers in time can look back."""
_STANDING_MPS = 0.005


@dataclass(frozen=True, slots=True)
class Reach:
    """One conflict set as a barrier needs it: the bins of ``own``, and how far the other must be to open each.

    ``open_m``: float64 [bin], ascending. ``end_m`` is where the last bin ends.
    """

    start_m: float
    step_m: float
    lo_m: Floats
    hi_m: Floats
    open_m: Floats
    shared: bool

    @staticmethod
    def of(conflict: Conflict) -> Reach:
        shared = conflict.kind != "crossing"
        start = conflict.first_bin * conflict.step_m
        opens = np.maximum.accumulate(conflict.hi_m)
        return Reach(start, conflict.step_m, conflict.lo_m, conflict.hi_m, opens, shared)

    @property
    def end_m(self) -> float:
        return self.start_m + len(self.open_m) * self.step_m

    def passes_after(self, own: Floats, other: Floats) -> bool:
        """Whether ``own`` [instant] enters the set after ``other`` did; who never enters passes after.

        Who is beyond the set from the start passes before.
        """
        if own[0] >= self.end_m:
            return False
        n = int(np.searchsorted(own, self.start_m))
        if n >= len(own):
            return True
        k = min(max(0, int((own[n] - self.start_m) / self.step_m)), len(self.open_m) - 1)
        while k < len(self.open_m) - 1 and self.lo_m[k] > self.hi_m[k]:
            k += 1
        if self.lo_m[k] > self.hi_m[k]:
            return False
        n = max(n, int(np.searchsorted(own, self.start_m + k * self.step_m)))
        return bool(other[min(n, len(other) - 1)] > 0.5 * (self.lo_m[k] + self.hi_m[k]))

    def barrier(self, other: Floats, gap_m: float) -> Floats:
        """Where ``own`` may be while the other is at ``other`` [instant]."""
        k = np.searchsorted(self.open_m, other - gap_m)
        return np.where(k == len(self.open_m), math.inf, self.start_m + k * self.step_m)

    def floor(self, own: Floats, gap_m: float) -> Floats:
        """Where the other must be by the time ``own`` is at ``own`` [instant]."""
        inside = own >= self.start_m
        with np.errstate(invalid="ignore"):
            k = np.where(inside, (own - self.start_m) / self.step_m, 0.0)
        k = np.minimum(k, len(self.open_m) - 1).astype(np.int64)
        return np.where(inside, self.open_m[k] + gap_m, -math.inf)


class Reaches:
    """Conflict sets of pairs, remembered."""

    def __init__(self, conflicts: Conflicts) -> None:
        self._conflicts = conflicts
        self._known: dict[tuple[object, ...], tuple[Reach, ...]] = {}

    def between(self, one: Body, path_one: str, other: Body, path_other: str) -> tuple[Reach, ...]:
        """Sets with the bins of ``one``."""
        key = (path_one, one.footprint, one.budget, path_other, other.footprint, other.budget)
        found = self._known.get(key)
        if found is None:
            tables = self._conflicts.between(
                path_one, (one.footprint, one.budget), path_other, (other.footprint, other.budget)
            )
            found = self._known[key] = tuple(Reach.of(table) for table in tables)
        return found


@dataclass(frozen=True, slots=True)
class Relation:
    """Who passes whom in one conflict set: rows ``first`` and ``second`` of the joint problem."""

    first: int
    second: int
    reach: Reach
    """With the bins of ``second``."""
    pad: int
    """Cells of time kept."""
    gap_m: float


class Traffic:
    """All plans on one grid of time, and in which order they pass.

    Parameters
    ----------
    members : sequence of Commitment
        Those to be refined first, then those that are fixed.
    free_count : int
        How many of ``members`` may change.
    """

    def __init__(
        self, members: Sequence[Commitment], free_count: int, reaches: Reaches, spacing: Spacing, base_ms: int
    ) -> None:
        self.members = tuple(members)
        self.free_count = free_count
        self.base_ms = (base_ms - round(PAST_S * 1000.0)) // CELL_MS * CELL_MS
        end_ms = max([member.plan.end_ms for member in members[:free_count]], default=base_ms)
        looked_back = round(max(spacing.crossing_s, spacing.headway_s) * 1e3) // CELL_MS
        count = (end_ms - self.base_ms) // CELL_MS + looked_back + 2
        self.t_s: Floats = (self.base_ms + CELL_MS * np.arange(count)) * 1e-3
        self.arrays = [member.plan.arrays() for member in members]
        self.planned: Floats = np.array([positions(arrays, self.t_s) for arrays in self.arrays])
        """Rear axles of the plans as they came, float64 [member, instant]; inf once a vehicle has left the map."""
        self.now: Floats = self.planned.copy()
        """The same of the plans as they are now."""
        self._most, self._least = self.planned.copy(), self.planned.copy()
        self.behind: list[list[Relation]] = [[] for _ in members]
        self.ahead: list[list[Relation]] = [[] for _ in members]
        self._relate(reaches, spacing)

    def _relate(self, reaches: Reaches, spacing: Spacing) -> None:
        for i, one in enumerate(self.members):
            for j, other in enumerate(self.members):
                if i == j or min(i, j) >= self.free_count:
                    continue
                for reach in reaches.between(one.body, one.plan.path_id, other.body, other.plan.path_id):
                    if reach.passes_after(self.planned[i], self.planned[j]):
                        pad = spacing.cells(CELL_MS, shared=reach.shared)
                        relation = Relation(j, i, reach, pad, spacing.gap_m(one.body.footprint, shared=reach.shared))
                        self.behind[i].append(relation)
                        self.ahead[j].append(relation)

    def move(self, i: int, motion: SegmentArrays) -> None:
        """Plan i is now ``motion`` from where that begins, at constant speed after it."""
        s, _ = states(motion, self.t_s)
        first = int(np.searchsorted(self.t_s, motion.t_s[0]))
        self.now[i, first:] = np.where(np.isinf(self.planned[i, first:]), math.inf, s[first:])

    def allow(self, i: int, motion: SegmentArrays) -> None:
        """Nothing that plan i keeps as ``motion`` is asked of it: that is the plan as it came, on a coarser grid."""
        s, _ = states(motion, self.t_s)
        first = int(np.searchsorted(self.t_s, motion.t_s[0]))
        np.maximum(self._most[i, first:], s[first:], out=self._most[i, first:])
        np.minimum(self._least[i, first:], s[first:], out=self._least[i, first:])

    def barrier(self, i: int) -> Floats:
        """Where plan i may be throughout each cell, float64 [instant - 1]."""
        free = np.full(len(self.t_s), math.inf)
        for relation in self.behind[i]:
            late = _later(self.now[relation.first], relation.pad)
            np.minimum(free, relation.reach.barrier(late, relation.gap_m), out=free)
        return np.maximum(free[:-1], self._most[i, 1:])

    def floor(self, i: int) -> Floats:
        """Where plan i must be throughout each cell, float64 [instant - 1]."""
        must = np.full(len(self.t_s) - 1, -math.inf)
        for relation in self.ahead[i]:
            early = _earlier(self.now[relation.second], relation.pad + 1)
            np.maximum(must, relation.reach.floor(early, relation.gap_m)[:-1], out=must)
        return np.minimum(must, self._least[i, :-1])


def _later(row: Floats, cells: int) -> Floats:
    """``row`` as it was ``cells`` instants ago."""
    return np.concatenate([np.full(cells, row[0]), row[: len(row) - cells]]) if cells else row


def _earlier(row: Floats, cells: int) -> Floats:
    """``row`` as it will be in ``cells`` instants."""
    return np.concatenate([row[cells:], np.full(cells, row[-1])])


def states(arrays: SegmentArrays, t_s: Floats) -> tuple[Floats, Floats]:
    """(s, v) at ``t_s``; constant speed outside the plan."""
    k = np.maximum(np.searchsorted(arrays.t_s, t_s, side="right") - 1, 0)
    dt = t_s - arrays.t_s[k]
    a = np.where(dt >= 0.0, arrays.a_mps2[k], 0.0)
    return arrays.s_m[k] + arrays.v_mps[k] * dt + 0.5 * a * dt * dt, np.maximum(0.0, arrays.v_mps[k] + a * dt)


def positions(arrays: SegmentArrays, t_s: Floats) -> Floats:
    """s at ``t_s``; inf after a plan that ended in motion: it has left the map."""
    s, _ = states(arrays, t_s)
    if arrays.v_mps[-1] >= _STANDING_MPS:
        s[t_s > arrays.t_s[-1]] = math.inf
    return s
