"""The joint planner ``welfare``: the passing order that costs the fleet least, and its speed profiles.

The order is chosen in a model that is exact up to hundredths of a second (``planners/order_model.py``), the plans are
made by the profile search of ``first_come`` (``planners/sequential.py``), one vehicle after another in that
order. First come, first served is planned too, and what costs less as planned is the answer: so
on no call is this planner worse than ``first_come`` by the fleet's own measure.
"""

from __future__ import annotations

from collections.abc import Sequence

from planners.blocking import Obstacle, TimeGrid
from planners.first_come import FirstCome
from planners.interface import Body, Commitment, Conflicts, JointPlan, Request
from planners.order_model import OrderModels
from planners.order_search import best_order
from planners.order_value import Value, value_of
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import TimedPath
from planners.welfare import Welfare
from planners.zone_map import ZoneMap


class WelfareOrder:
    """The joint planner ``welfare``. Not for use by two threads at once: it owns scratch arrays."""

    name = "welfare"
    open_orders = True

    def __init__(
        self,
        zone_map: ZoneMap,
        conflicts: Conflicts,
        spacing: Spacing = COMFORTABLE,
        welfare: Welfare | None = None,
    ) -> None:
        self._inner = FirstCome(zone_map, conflicts, spacing)
        self._welfare = welfare or Welfare()
        self._models = OrderModels(self._inner.sequential, self._welfare)

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan ``requests`` in the best order found; see :class:`planners.interface.JointPlanner`.

        Reasons of refusal are those of :meth:`planners.first_come.FirstCome.plan`.
        """
        fixed, grid = self._inner.prepared(requests, commitments, now_ms)
        ordered = self._inner.order(requests)
        answer = self._inner.planned(ordered, fixed, grid)
        if len(requests) > 1:
            answer = self._improved(answer, ordered, fixed, grid)
        self._inner.sequential.keep(grid)
        return answer

    def _improved(
        self, first_come: JointPlan, ordered: list[Request], fixed: list[Obstacle], grid: TimeGrid
    ) -> JointPlan:
        """``first_come``, or the plans of another order if they cost less and keep the hard limits."""
        inside = sum(self._inner.key(request)[0] == 0 for request in ordered)
        model = self._models.model(ordered, fixed, grid)
        order = best_order(model, inside, self._welfare)
        chosen = [model.requests[k] for k in order]
        rest = [request for request in ordered if request not in chosen]
        if chosen + rest == ordered:
            return first_come
        other = self._inner.planned(chosen + rest, fixed, grid)
        before, after = value_of(model, first_come, grid, self._welfare), value_of(model, other, grid, self._welfare)
        return other if _better(after, before, self._welfare) else first_come

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
        return self._inner.approach(
            body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide
        )


def _better(one: Value, first_come: Value, welfare: Welfare) -> bool:
    """Whether it costs less than first come, first served, and nobody waits longer than the hard limit."""
    if one.cost >= first_come.cost:
        return False
    pairs = zip(one.wait_s, first_come.wait_s, strict=True)
    return all(wait <= welfare.wait_limit_s(before) for wait, before in pairs)
