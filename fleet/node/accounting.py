"""Which of the vehicles ahead are accounted for: they do what they say, and this vehicle's plan is clear of it.

An announced plan accounts for a body only while the body is where the plan says. A node that died goes
on being heard of for two seconds, and its vehicle brakes meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fleet.node.hearing import Hearing
from fleet.node.judge import ZoneJudge
from fleet.node.lanes import Lanes
from fleet.node.plan_book import PlanBook
from fleet.node.planning import first_time_beyond
from fleet.node.surroundings import Leader, Surroundings, silent_threats
from fleet.protocol.table import OBSTRUCTING, Phase
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import Passage

STRAYED_M = 1.0
"""Off its announced place by more than this a vehicle does not do what it says. Tracking and perception are off by
at most 0.7 m together, and a plan adopted half a second ago, of which nothing was heard yet, by 0.6 m."""
_CLASHES_KEPT = 64
_HOLDING = (Phase.COMMITTED, Phase.CROSSING)


class Accounting:
    """Of one vehicle; remembers which pairs of plans it has compared."""

    def __init__(
        self, hearing: Hearing, judge: ZoneJudge, lanes: Lanes, book: PlanBook, body: Body, scale: float
    ) -> None:  # fmt: skip
        self._hearing, self._judge, self._lanes, self._book = hearing, judge, lanes, book
        self._body, self._scale = body, scale
        self._clashes: dict[tuple[TimedPath, TimedPath], bool] = {}

    def threat(
        self, now_ms: int, plan: TimedPath, passage: Passage, front_s_m: float, around: Surroundings
    ) -> str:  # fmt: skip
        """What in the world has made a commitment unsafe, as a reason to give it back; empty: nothing has."""
        leaves = first_time_beyond(self._book, plan, passage.exit_s_m + self._body.footprint.rear_m)
        left_s = (leaves if leaves is not None else math.inf) - now_ms * 1e-3
        for row, arrival_s in silent_threats(around, self._book.roads, passage.zone_id, plan.path_id, front_s_m):
            if arrival_s < left_s + 0.5:
                return f"silent:{around.tracks[row].track_id}"
        return self.in_the_way(now_ms, plan, around)

    def of(
        self, now_ms: int, plan: TimedPath | None, ahead: Sequence[Leader], around: Surroundings
    ) -> tuple[frozenset[str], frozenset[str]]:
        """(who of ``ahead`` is accounted for, who speaks and is not); ``ahead`` as seen at the last look ``around``."""
        rows = {one.peer: one.row for one in ahead if one.peer is not None}
        clear = {
            peer
            for peer, row in rows.items()
            if plan is not None
            and around.strayed_m(row) <= STRAYED_M * self._scale
            and not self.ran_into(now_ms, plan, peer)
        }
        return frozenset(clear), frozenset(rows.keys() - clear)

    def in_the_way(self, now_ms: int, plan: TimedPath, around: Surroundings) -> str:
        """Why ``plan`` through the zone must be given back while that is possible; empty: it stands."""
        strayed = self._strayed(now_ms, around)
        if strayed:
            return f"strayed:{strayed}"
        for peer, intent in self._hearing.heard(now_ms).items():
            if intent.phase in OBSTRUCTING and self.ran_into(now_ms, plan, peer):
                return f"occupied:{peer}"
        return ""

    def _strayed(self, now_ms: int, around: Surroundings) -> str:
        """A peer on its way through the zone that is not where its plan says, or says so itself; empty: none.

        What it holds no longer tells where it will be, so whoever can still stop for it must.
        """
        heard = self._hearing.heard(now_ms)
        for name, intent in heard.items():
            if intent.phase in OBSTRUCTING and intent.live:
                return name
        for row, peer in enumerate(around.peer_of):
            known = heard.get(peer) if peer is not None else None
            if known is not None and known.phase in _HOLDING and around.strayed_m(row) > STRAYED_M * self._scale:
                return known.vehicle
        return ""

    def ran_into(self, now_ms: int, plan: TimedPath, peer: str) -> bool:
        """Whether ``peer`` announces a plan that ``plan`` would run into."""
        other = self._hearing.commitment(peer, now_ms)
        if other is None:
            return False
        key = (plan, other.plan)
        known = self._clashes.get(key)
        if known is None:
            behind = self._lanes.follows(now_ms * 1e-3, (other.body, other.plan), (self._body, plan))
            known = not behind and self._judge.clash(Commitment(self._body, plan), other, now_ms)
            if len(self._clashes) >= _CLASHES_KEPT:
                self._clashes.clear()
            self._clashes[key] = known
        return known
