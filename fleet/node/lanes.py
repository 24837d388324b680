"""Who is ahead of whom in one lane, and whose paths meet: geometry that membership and order need."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from fleet.node.bodies import planning_body
from fleet.node.plan_book import PlanBook
from planners.interface import Body, Conflicts
from planners.timed_path import TimedPath
from planners.zone_map import Conflict, ErrorBudget, Footprint

_BODIES_KEPT = 4096
_NEAR_M2 = 60.0**2
_LANE_SIDE_M = 12.0
"""The vehicle ahead in the lane is within 60 m, and not farther to the side than a bend allows."""
_BEHIND_M = 1.0
"""A vehicle may be this far behind where it says it is."""


class Lanes:
    """Relations between vehicles by their paths' conflict geometry."""

    def __init__(self, conflicts: Conflicts, book: PlanBook) -> None:
        self._conflicts = conflicts
        self._book = book
        self._known: dict[tuple[str, int, str, int], tuple[Conflict, ...]] = {}
        self._numbers: dict[tuple[Footprint, ErrorBudget], int] = {}
        self._number_of: dict[int, tuple[Body, int]] = {}

    def _tables(self, path_i: str, body_i: Body, path_j: str, body_j: Body) -> tuple[Conflict, ...]:
        key = (path_i, self._number(body_i), path_j, self._number(body_j))
        found = self._known.get(key)
        if found is None:
            wide_i, wide_j = planning_body(body_i), planning_body(body_j)
            found = self._conflicts.between(
                path_i, (wide_i.footprint, wide_i.budget), path_j, (wide_j.footprint, wide_j.budget)
            )
            self._known[key] = found
        return found

    def _number(self, body: Body) -> int:
        """A small number for the outline of ``body``: hashing nested records for each look-up is too slow."""
        known = self._number_of.get(id(body))
        if known is None:
            if len(self._number_of) >= _BODIES_KEPT:
                self._number_of.clear()
            number = self._numbers.setdefault((body.footprint, body.budget), len(self._numbers))
            known = self._number_of[id(body)] = (body, number)  # keeps the body, so that its id stays its own
        return known[1]

    def meet(self, i: tuple[str, Body, float], j: tuple[str, Body, float]) -> bool:
        """Whether footprints of two vehicles (path, body, s_m) can still touch if both only go on."""
        for table in self._tables(i[0], i[1], j[0], j[1]):
            first = max(0, int((i[2] - _BEHIND_M) / table.step_m) - table.first_bin)
            ahead = table.hi_m[first:]
            if bool(((ahead >= j[2] - _BEHIND_M) & (table.lo_m[first:] <= ahead)).any()):
                return True
        return False

    def lead_m(self, path_i: str, body_i: Body, s_i_m: float, path_j: str, body_j: Body, s_j_m: float) -> float | None:
        """How far j is ahead of i in a lane that both are in (negative: behind); None: not in one lane."""
        if path_i == path_j:
            return s_j_m - s_i_m
        for table in self._tables(path_i, body_i, path_j, body_j):
            if table.kind != "following":
                continue
            k = int(s_i_m / table.step_m) - table.first_bin
            if 0 <= k < len(table.lo_m) and table.lo_m[k] <= table.hi_m[k]:
                same_place = 0.5 * float(table.lo_m[k] + table.hi_m[k])
                return s_j_m - same_place
        return None

    def follows(self, now_s: float, j: tuple[Body, TimedPath], i: tuple[Body, TimedPath]) -> bool:
        """Whether j is behind i in one lane: then j adapts to whatever i does, and not the other way round."""
        s_i = self._book.arrays(i[1]).at(now_s)[0]
        s_j = self._book.arrays(j[1]).at(now_s)[0]
        lead = self.lead_m(i[1].path_id, i[0], s_i, j[1].path_id, j[0], s_j)
        return lead is not None and lead < 0.0

    def leaders(
        self, now_s: float, plans: Mapping[str, tuple[Body, bytes]], of: Collection[str] | None = None
    ) -> dict[str, str]:
        """For each vehicle (or each in ``of``), the next one ahead of it in its lane, by the plans they announce."""
        places = []
        for name in sorted(plans):
            body, raw = plans[name]
            place = self._book.place(raw, now_s)
            if place is not None:
                places.append((name, body, *place))
        where = np.array([place[4:] for place in places], dtype=np.float64).reshape(len(places), 3)
        found: dict[str, str] = {}
        for row, (name, body, path_id, s, x, y, yaw) in enumerate(places):
            if of is not None and name not in of:
                continue
            dx, dy = where[:, 0] - x, where[:, 1] - y
            cos, sin = math.cos(yaw), math.sin(yaw)
            near = (
                (dx * cos + dy * sin > 0.0)
                & (np.abs(dy * cos - dx * sin) < _LANE_SIDE_M)
                & (dx * dx + dy * dy < _NEAR_M2)
            )
            best = None
            for column in np.flatnonzero(near).tolist():
                other, other_body, other_path, other_s = places[column][:4]
                if column == row:
                    continue
                lead = self.lead_m(path_id, body, s, other_path, other_body, other_s)
                if lead is not None and lead > 0.0 and (best is None or lead < best):
                    best, found[name] = lead, other
        return found
