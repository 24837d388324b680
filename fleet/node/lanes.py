"""Who is ahead of whom in one lane, and whose paths meet: geometry that membership and order need."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from fleet.node.bodies import planning_body
from fleet.node.plan_book import PlanBook
from planners.interface import Body, Conflicts
from planners.timed_path import TimedPath
from planners.zone_map import Conflict

_BEHIND_M = 1.0
"""A vehicle may be this far behind where it says it is."""


class Lanes:
    """Relations between vehicles by their paths' conflict geometry."""

    def __init__(self, conflicts: Conflicts, book: PlanBook) -> None:
        self._conflicts = conflicts
        self._book = book
        self._tables = lru_cache(maxsize=4096)(self._between)

    def _between(self, path_i: str, body_i: Body, path_j: str, body_j: Body) -> tuple[Conflict, ...]:
        wide_i, wide_j = planning_body(body_i), planning_body(body_j)
        return self._conflicts.between(
            path_i, (wide_i.footprint, wide_i.budget), path_j, (wide_j.footprint, wide_j.budget)
        )

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

    def leaders(self, now_s: float, plans: Mapping[str, tuple[Body, bytes]]) -> dict[str, str]:
        """For each vehicle, the next one ahead of it in its lane, by the plans they announce."""
        places = []
        for name in sorted(plans):
            body, raw = plans[name]
            plan = self._book.decode(raw)
            if plan is not None and self._book.knows(plan):
                places.append((name, body, plan.path_id, self._book.arrays(plan).at(now_s)[0]))
        found: dict[str, str] = {}
        for name, body, path_id, s in places:
            best = None
            for other, other_body, other_path, other_s in places:
                if other == name:
                    continue
                lead = self.lead_m(path_id, body, s, other_path, other_body, other_s)
                if lead is not None and lead > 0.0 and (best is None or lead < best):
                    best, found[name] = lead, other
        return found
