"""A planner whose order a mechanism decides: requests get ranks, or weights, before they are planned.

Planners that plan in order of arrival get the choice's rank in place of the arrival; planners that weigh vehicles
against each other get its weights as urgencies. Either way the order stays open until a vehicle needs its plan:
else whoever comes first would be promised its turn before anybody urgent is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleet.charter.model import Charter
from fleet.node.charter_book import Make
from fleet.node.planner_guard import PATIENCE_MS
from planners.interface import Body, Commitment, JointPlan, JointPlanner, Request
from planners.timed_path import TimedPath

Rank = Callable[[Sequence[Request], int], list[Request]]
"""(requests, now_ms) -> the same requests with the mechanism's ranks or weights. Never raises."""


class RankedPlanner:
    """Another planner, asked in the mechanism's order."""

    open_orders = True

    def __init__(self, planner: JointPlanner, rank: Rank) -> None:
        self._planner, self._rank = planner, rank
        self.name = planner.name
        self.patience_ms: int = getattr(planner, "patience_ms", PATIENCE_MS)

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """See :class:`planners.interface.JointPlanner`."""
        return self._planner.plan(self._rank(requests, now_ms), commitments, now_ms=now_ms)

    def approach(
        self, body: Body, path_id: str, state: tuple[float, float, float], *, now_ms: int, stop_s_m: float,
        leader: Commitment | None, guide: TimedPath | None = None,
    ) -> TimedPath:  # fmt: skip
        """See :class:`planners.interface.JointPlanner`."""
        return self._planner.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
        )


def ranked_maker(make: Make, rank: Rank) -> Make:
    """Makes the planners that ``make`` makes, asked in the mechanism's order."""

    def ranked(name: str, charter: Charter) -> JointPlanner:
        return RankedPlanner(make(name, charter), rank)

    return ranked
